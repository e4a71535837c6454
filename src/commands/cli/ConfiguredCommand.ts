/**
 * What all commands that read the configuration have in common: the file, the log, the timeout, and what errors
 * become.
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
  /** What the command line says instead of the file's `only_once`. */
  readonly onlyOnce?: boolean | undefined
  /** False for commands that never use the bucket. */
  readonly usesBucket?: boolean
}

/** Of a failure: 2 for the configuration, else 1. It has been reported then. */
export const report = (error: { readonly message: string }) => {
  if (!(error instanceof InvalidSettings)) return Effect.as(Effect.logError(error.message), 1)
  // A list for people, whatever the log's format.
  return Effect.sync(() => {
    process.stderr.write(`lightningstream: ${error.message}\n`)
    return 2
  })
}

/** The log as the command line has it: before the file has said how to log, and where there is no file. */
export const earlyLog = (global: GlobalOptions) =>
  Logs.layerWith({
    format: global.logFormat ?? "human",
    level: levelOf(global) ?? "info",
    timestamp: global.logTimestamp ?? "short"
  })

/**
 * `--timeout`: what is under way is interrupted, and when that takes longer than ten seconds (another process holds
 * LMDB's lock), the process kills itself.
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

/** A defect is a bug: its stack helps. */
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
 * SIGINT and SIGTERM end the command in order: what it has begun is undone, no file is left half-written. The exit code
 * is then 128 and the signal's number, as shells have it.
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

/** Runs a command that reads no configuration. The exit code. */
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

/** Runs a command that does its work and ends, with the configuration as a service. The exit code. */
export const once = <E extends { readonly message: string }>(
  options: CommandOptions,
  command: Effect.Effect<number, E, NodeServices.NodeServices | Settings | Progress>
): Effect.Effect<number> => onceWith(options, () => command)

/** The same for a command that shows what was wrong with the configuration, too. */
export const onceWith = <E extends { readonly message: string }>(
  options: CommandOptions,
  use: (loaded: SettingsYaml.Loaded) => Effect.Effect<number, E, NodeServices.NodeServices | Settings | Progress>
): Effect.Effect<number> =>
  withSettings(options, (loaded) => Effect.provide(endedBySignal(use(loaded)), ProgressTerminal.layer))

/** Runs `use` with the configuration, also as the service. It minds the signals itself. The exit code. */
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
