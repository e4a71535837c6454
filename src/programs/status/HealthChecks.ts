/**
 * The checks that /healthz reports. Those of the storage and of the start are evaluated at their own intervals, and
 * become a warning and then an error, depending on how long they have been failing. All others are warnings for as long
 * as they fail. Source: docs/configuration.md, health.
 */
import { Clock, Duration, Effect } from "effect"
import * as GoDuration from "../../domain/settings/values/GoDuration.ts"
import { type Failing, Health } from "../../services/Health.ts"
import { Settings, type SettingsValues } from "../../services/Settings.ts"
import type { DaemonState, DatabaseState } from "../sync/facts/DaemonState.ts"

export interface Report {
  readonly level: "warning" | "error"
  readonly message: string
}

type Section = "storage_list" | "storage_load" | "storage_store"

/** The failed activities, in the words of Lightning Stream. */
const activities: Readonly<Record<Section, string>> = {
  storage_list: "list snapshots on storage backend",
  storage_load: "load a snapshot from storage backend",
  storage_store: "write to storage backend"
}

const sections = Object.keys(activities) as ReadonlyArray<Section>

type Thresholds = Pick<SettingsValues["health"]["start"], "warn_duration" | "error_duration">

/** Returns the level after a time of failure, or undefined before the first threshold. */
const levelOf = (millis: number, { error_duration, warn_duration }: Thresholds): Report["level"] | undefined => {
  if (millis >= Duration.toMillis(error_duration)) return "error"
  return millis >= Duration.toMillis(warn_duration) ? "warning" : undefined
}

const seconds = (millis: number): string => GoDuration.format(Duration.seconds(Math.round(millis / 1_000)))

export class HealthChecks {
  private readonly state: DaemonState
  private readonly settings: SettingsValues["health"]
  private readonly health: Health["Service"]
  /** Reports of the checks with an interval, as of their last evaluation. */
  private readonly reports = new Map<string, Report>()

  constructor(state: DaemonState, settings: SettingsValues["health"], health: Health["Service"]) {
    this.state = state
    this.settings = settings
    this.health = health
  }

  private put(check: string, level: Report["level"] | undefined, message: string): void {
    if (level === undefined) this.reports.delete(check)
    else this.reports.set(check, { level, message })
  }

  private lookAtStorage(section: Section, { name }: DatabaseState, failing: ReadonlyArray<Failing>, now: number): void {
    const found = failing.find(({ check }) => check === `${name}_${section}`)
    const millis = found === undefined ? 0 : now - found.since
    const level = found === undefined ? undefined : levelOf(millis, this.settings[section])
    const message = `failed to ${activities[section]} for ${seconds(millis)} - last error: '${found?.message}'`
    this.put(`${name}_${section}_failed_duration`, level, message)
  }

  private lookAtStart({ isReady, name }: DatabaseState, now: number): void {
    const millis = now - this.state.startedAt
    const isShown = this.settings.start.report_healthz && !isReady
    const level = isShown ? levelOf(millis, this.settings.start) : undefined
    this.put(`${name}_startup_in_progress`, level, `the start is in progress for ${seconds(millis)}`)
  }

  /** Evaluates each check at its interval, forever. */
  readonly run = Effect.gen({ self: this }, function* () {
    const each = (
      interval: Duration.Duration,
      look: (database: DatabaseState, failing: ReadonlyArray<Failing>, now: number) => void
    ) =>
      Effect.gen({ self: this }, function* () {
        const failing = yield* this.health.all
        const now = yield* Clock.currentTimeMillis
        for (const database of this.state.databases) look(database, failing, now)
        yield* Effect.sleep(interval)
      }).pipe(Effect.forever)
    yield* Effect.all(
      [
        ...sections.map((section) =>
          each(this.settings[section].interval, (database, failing, now) =>
            this.lookAtStorage(section, database, failing, now)
          )
        ),
        each(this.settings.start.interval, (database, _, now) => this.lookAtStart(database, now))
      ],
      { concurrency: "unbounded", discard: true }
    )
    return yield* Effect.never
  })

  /** Returns all reports, sorted by the name of the check. */
  readonly all = Effect.gen({ self: this }, function* () {
    const ofStorage = new Set(
      this.state.databases.flatMap(({ name }) => sections.map((section) => `${name}_${section}`))
    )
    const others = (yield* this.health.all).filter(({ check }) => !ofStorage.has(check))
    return new Map<string, Report>([
      ...this.reports,
      ...others.map(({ check, message }): [string, Report] => [check, { level: "warning", message }])
    ])
  })
}

export const make = Effect.fnUntraced(function* (state: DaemonState) {
  return new HealthChecks(state, (yield* Settings).health, yield* Health)
})
