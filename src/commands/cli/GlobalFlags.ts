/** The options that every command accepts, before and after its name. */
import { Duration } from "effect"
import * as Flag from "effect/cli/Flag"
import {
  logFormats,
  logLevels,
  logTimestamps,
  readLogLevel,
  readLogTimestamp
} from "../../domain/settings/values/LogOptions.ts"
import { about, duration, type Given, oneOf, optional, text, toggle } from "./Flags.ts"

export const globalFlags = {
  config: text("config", "FILE").pipe(
    Flag.withAlias("c"),
    about("Configuration file (default: lightningstream.yaml)"),
    Flag.withDefault("lightningstream.yaml")
  ),
  instance: text("instance", "NAME").pipe(
    Flag.withAlias("i"),
    about("Name of this instance (overrides instance)"),
    optional
  ),
  debug: toggle("debug").pipe(about("Log at level debug, whatever --log-level says, including where errors come from")),
  logConfig: toggle("log-config").pipe(
    about("Log the effective configuration as YAML, with every default, and with secrets hidden")
  ),
  logLevel: oneOf("log-level", logLevels, readLogLevel).pipe(
    about("Lowest level to log, case-insensitive (overrides log.level)")
  ),
  logFormat: oneOf("log-format", logFormats).pipe(about("Format of the log (overrides log.format)")),
  logTimestamp: oneOf("log-timestamp", logTimestamps, readLogTimestamp).pipe(
    about("Format of times in the log (overrides log.timestamp)")
  ),
  minimumPid: Flag.Int("minimum-pid").pipe(
    Flag.withMetavar("N"),
    Flag.filter(
      (pid) => pid >= 0,
      () => "Expected a number that is not negative"
    ),
    about("Run as a process with at least this process number, for containers that share an LMDB"),
    Flag.withDefault(0)
  ),
  timeout: duration("timeout").pipe(
    about("Abort the command after this time, with exit code 75 (default: never)"),
    Flag.withDefault(Duration.zero)
  ),
  version: toggle("version").pipe(about("Print the name and the version"))
}

export type GlobalOptions = Given<typeof globalFlags>

/** Returns the log level, or undefined when the command line does not set one. */
export const levelOf = ({ debug, logLevel }: GlobalOptions): GlobalOptions["logLevel"] => (debug ? "debug" : logLevel)

/** Returns the settings of the command line that override the configuration file, by key path. */
export const overridesOf = (global: GlobalOptions, onlyOnce?: boolean): Readonly<Record<string, string>> => {
  const all = {
    instance: global.instance,
    "log.level": levelOf(global),
    "log.format": global.logFormat,
    "log.timestamp": global.logTimestamp,
    only_once: onlyOnce?.toString()
  }
  return Object.fromEntries(Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== undefined))
}
