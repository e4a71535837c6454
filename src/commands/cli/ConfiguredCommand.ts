/**
 * The common parts of all commands that read the configuration: the file, the log, the timeout, and the exit codes of
 * errors.
 */
import * as os from "node:os"
import { NodeServices } from "@effect/platform-node"
import { Duration, Effect, Layer } from "effect"
import * as Logs from "../../layers/logs/Logs.ts"
import * as MinimumPid from "../../layers/process/MinimumPid.ts"
import * as ProgressTerminal from "../../layers/process/ProgressTerminal.ts"
import * as Signals from "../../layers/process/Signals.ts"
import * as SettingsYaml from "../../layers/settings/SettingsYaml.ts"
import type { Progress } from "../../services/Progress.ts"
import { InvalidSettings, Settings } from "../../services/Settings.ts"
import { type GlobalOptions, levelOf, overridesOf } from "./GlobalFlags.ts"

const timedOut = 75

export interface CommandOptions {
  readonly global: GlobalOptions
  /** Overrides the file's `only_once`. */
  readonly onlyOnce?: boolean | undefined
  /** False for commands that never use the bucket. */
  readonly usesBucket?: boolean
}

/** Reports a failure. Returns the exit code: 2 for a problem of the configuration, otherwise 1. */
export const report = (error: { readonly message: string }) => {
  if (!(error instanceof InvalidSettings)) return Effect.as(Effect.logError(error.message), 1)
  // The problems are a list for people, so they are printed as text whatever the format of the log is.
  return Effect.sync(() => {
    process.stderr.write(`lightningstream: ${error.message}\n`)
    return 2
  })
}

/** The log as the command line configures it. It is used before the file has been read, and where there is no file. */
export const earlyLog = (global: GlobalOptions) =>
  Logs.layerWith({
    format: global.logFormat ?? "human",
    level: levelOf(global) ?? "info",
    timestamp: global.logTimestamp ?? "short"
  })

/**
 * Interrupts the command after `--timeout`. If that takes longer than ten seconds, because another process holds LMDB's
 * lock, the process kills itself.
 */
export const bounded =
  ({ timeout }: GlobalOptions) =>
  <E, R>(command: Effect.Effect<number, E, R>): Effect.Effect<number, E, R> =>
    Duration.isZero(timeout)
      ? command
      : Effect.raceFirst(
          command,
          Effect.gen(function* () {
            yield* Effect.sleep(timeout)
            yield* Signals.arm
            yield* Effect.logError(`Timeout: not done within ${Duration.format(timeout)} (--timeout)`)
            return timedOut
          })
        )

/** Logs a defect with its stack, because a defect is a bug. */
const catchDefects = <R>(command: Effect.Effect<number, never, R>): Effect.Effect<number, never, R> =>
  Effect.catchCause(command, (cause) => Effect.as(Effect.logFatal("Internal error, please report it", cause), 1))

const logConfig = (loaded: SettingsYaml.Loaded) =>
  Effect.logInfo("Effective configuration", { config: SettingsYaml.effectiveYaml(loaded.settings) })

const announce = Effect.fnUntraced(function* (global: GlobalOptions, loaded: SettingsYaml.Loaded) {
  const warning = MinimumPid.warningOf(global.minimumPid)
  if (warning !== undefined) yield* Effect.logWarning(warning)
  if (global.logConfig) yield* logConfig(loaded)
})

/**
 * Ends the command in order at SIGINT and SIGTERM: unfinished work is undone, and no half-written file is left. The
 * exit code is then 128 plus the signal's number, as in shells.
 */
const endedBySignal = <E, R>(command: Effect.Effect<number, E, R>): Effect.Effect<number, E, R> =>
  Effect.scoped(
    Effect.flatMap(Signals.make, ({ first }) =>
      Effect.raceFirst(
        command,
        Effect.map(first, (signal) => 128 + os.constants.signals[signal as NodeJS.Signals])
      )
    )
  )

/** Runs a command that reads no configuration. Returns the exit code. */
export const withoutSettings = <E extends { readonly message: string }>(
  global: GlobalOptions,
  command: Effect.Effect<number, E, NodeServices.NodeServices | Progress>
): Effect.Effect<number> =>
  command.pipe(
    endedBySignal,
    bounded(global),
    Effect.catch(report),
    catchDefects,
    Effect.provide([NodeServices.layer, ProgressTerminal.layer, earlyLog(global)])
  )

/** Runs a command that does its work and ends, with the configuration as a service. Returns the exit code. */
export const once = <E extends { readonly message: string }>(
  options: CommandOptions,
  command: Effect.Effect<number, E, NodeServices.NodeServices | Settings | Progress>
): Effect.Effect<number> => onceWith(options, () => command)

/** Does the same for a command that also needs the warnings about the configuration. */
export const onceWith = <E extends { readonly message: string }>(
  options: CommandOptions,
  use: (loaded: SettingsYaml.Loaded) => Effect.Effect<number, E, NodeServices.NodeServices | Settings | Progress>
): Effect.Effect<number> =>
  withSettings(options, (loaded) => Effect.provide(endedBySignal(use(loaded)), ProgressTerminal.layer))

/** Runs `use` with the configuration, also as a service. `use` handles the signals. Returns the exit code. */
export const withSettings = <E extends { readonly message: string }>(
  { global, onlyOnce, usesBucket = true }: CommandOptions,
  use: (loaded: SettingsYaml.Loaded) => Effect.Effect<number, E, NodeServices.NodeServices | Settings>
): Effect.Effect<number> =>
  SettingsYaml.load({ file: global.config, usesBucket, overrides: overridesOf(global, onlyOnce) }).pipe(
    Effect.flatMap((loaded) =>
      Effect.andThen(announce(global, loaded), use(loaded)).pipe(
        bounded(global),
        Effect.catch(report),
        Effect.provideService(Settings, loaded.settings),
        Effect.provide(Logs.layerWith(loaded.settings.log))
      )
    ),
    Effect.catch(report),
    catchDefects,
    Effect.provide(Layer.merge(NodeServices.layer, earlyLog(global)))
  )
