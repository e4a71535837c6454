/**
 * The page /healthz, with status 503 if there are errors, and otherwise 200. Its members are those of Lightning Stream.
 */
import { Clock, DateTime, Effect } from "effect"
import type { PageResponse } from "../../services/HttpServer.ts"
import { ProcessInfo } from "../../services/ProcessInfo.ts"
import { Settings } from "../../services/Settings.ts"
import type { DaemonState } from "../sync/facts/DaemonState.ts"
import type { HealthChecks, Report } from "./HealthChecks.ts"

const timeOf = (millis: number): string => DateTime.formatIso(DateTime.makeUnsafe(millis))

const messagesOf = (reports: ReadonlyMap<string, Report>, level: Report["level"]): Readonly<Record<string, string>> =>
  Object.fromEntries(
    [...reports].filter(([, report]) => report.level === level).map(([check, { message }]) => [check, message])
  )

const statusOf = (failures: object, warnings: object): "OK" | "Warning" | "Unavailable" => {
  if (Object.keys(failures).length > 0) return "Unavailable"
  return Object.keys(warnings).length > 0 ? "Warning" : "OK"
}

export const page = Effect.fn("Healthz.page")(function* (state: DaemonState, checks: HealthChecks) {
  const { facts, use } = yield* ProcessInfo
  const { health } = yield* Settings
  const reports = yield* checks.all
  const [failures, warnings] = [messagesOf(reports, "error"), messagesOf(reports, "warning")]
  const status = statusOf(failures, warnings)
  const { externalBytes, heapTotalBytes, heapUsedBytes, residentBytes } = yield* use
  const startup = Object.fromEntries(state.databases.map(({ isReady, name }) => [`startup_${name}`, isReady]))
  const body = {
    ok: status !== "Unavailable",
    has_warnings: Object.keys(warnings).length > 0,
    status,
    time: timeOf(yield* Clock.currentTimeMillis),
    since: timeOf(facts.startedAtMillis),
    runtime: {
      arch: facts.arch,
      os: facts.os,
      version: facts.node,
      alloc_bytes: heapUsedBytes,
      heap_total_bytes: heapTotalBytes,
      external_bytes: externalBytes,
      resident_bytes: residentBytes
    },
    failures,
    warnings,
    metadata: {
      hostname: facts.hostname,
      version: facts.version,
      ...(health.start.report_metadata ? startup : {})
    }
  }
  return {
    status: status === "Unavailable" ? 503 : 200,
    contentType: "application/json",
    body: `${JSON.stringify(body, undefined, 2)}\n`
  } satisfies PageResponse
})
