/** Checks of `doctor` whose facts a test cannot have for real: other builds, limits of memory, clocks to the second. */
import { assert, describe, it } from "@effect/vitest"
import * as BuildFindings from "../../../src/programs/doctor/BuildFindings.ts"
import * as CertificateCheck from "../../../src/programs/doctor/CertificateCheck.ts"
import * as ClockCheck from "../../../src/programs/doctor/ClockCheck.ts"
import { type Finding, hasErrors, json, of, text, warning } from "../../../src/programs/doctor/Finding.ts"
import * as MapCheck from "../../../src/programs/doctor/MapCheck.ts"
import * as MemoryCheck from "../../../src/programs/doctor/MemoryCheck.ts"
import * as ReadersCheck from "../../../src/programs/doctor/ReadersCheck.ts"
import { LmdbError, WrongBuild } from "../../../src/services/Lmdb.ts"
import * as SettingsTest from "../../support/fixtures/SettingsTest.ts"

const levels = (findings: ReadonlyArray<Finding>) => findings.map(({ level }) => level).join()

describe("findings", () => {
  it("are one line each, whatever is in them", () => {
    const [finding] = of("main", [warning("clock", "what\n  it is", "why", "to do")])
    assert.strictEqual(text(finding!), "warning  clock of main: what it is; why; to do\n")
    assert.strictEqual(
      json(finding!),
      '{"check":"clock","level":"warning","what":"what\\n  it is","why":"why","todo":"to do","database":"main"}\n'
    )
    assert.isFalse(hasErrors([finding!]))
  })
})

describe("the clock", () => {
  const date = "Wed, 01 Jan 2025 00:00:10 GMT"
  const server = Date.parse(date)
  /** The response took a second. */
  const at = (sentMillis: number) =>
    levels(ClockCheck.findings({ date, sentMillis, receivedMillis: sentMillis + 1_000 }))

  it("may be right for as long as the header and the response leave open", () => {
    for (const millis of [-1_000, 0, 1_000, 2_999]) assert.strictEqual(at(server + millis), "ok", String(millis))
    assert.strictEqual(at(server - 2_999), "ok")
  })

  it("is warned about from 2 s on, and an error from 10 s on, ahead or behind", () => {
    assert.strictEqual(at(server + 3_000), "warning")
    assert.strictEqual(at(server + 10_999), "warning")
    assert.strictEqual(at(server + 11_000), "error")
    assert.strictEqual(at(server - 3_000), "warning")
    assert.strictEqual(at(server - 11_000), "error")
    assert.strictEqual(levels(ClockCheck.findings({ date: undefined, sentMillis: 0, receivedMillis: 0 })), "ok")
  })
})

describe("certificates", () => {
  const day = 86_400_000
  const chain = (...days: ReadonlyArray<number>) =>
    levels(
      CertificateCheck.findings(
        days.map((left, index) => ({ subject: `c${index}`, validToMillis: left * day })),
        true,
        0
      )
    )

  it("are judged by the one that expires first", () => {
    assert.strictEqual(chain(21, 300), "ok")
    assert.strictEqual(chain(300, 20), "warning")
    assert.strictEqual(chain(3, 20), "warning")
    assert.strictEqual(chain(300, 2), "error")
    assert.strictEqual(chain(-1), "error")
    assert.strictEqual(chain(), "")
  })
})

describe("memory", () => {
  const settings = SettingsTest.make()
  const { dirtyBytes, heldBytes } = MemoryCheck.needsOf(settings)
  const at = (limit: number | undefined, isCut = false) => levels(MemoryCheck.findings(settings, limit, isCut))

  it("must have room for what the settings allow, and for a merge in one transaction unless it is cut", () => {
    assert.strictEqual(at(undefined), "ok")
    assert.strictEqual(at(heldBytes - 1), "error")
    assert.strictEqual(at(heldBytes), "warning")
    assert.strictEqual(at(heldBytes, true), "ok")
    assert.strictEqual(at(heldBytes + dirtyBytes), "ok")
    const more = SettingsTest.make({ memory_downloaded_snapshots: settings.memory_downloaded_snapshots + 1 })
    assert.strictEqual(MemoryCheck.needsOf(more).heldBytes - heldBytes, settings.spool_memory)
  })
})

describe("the build", () => {
  it("is an error where the daemon refuses it, with the command that builds it", () => {
    const reason = new WrongBuild({ version: "LMDB 0.9.90", lacks: "format", command: "node build" })
    const [finding] = BuildFindings.findings("LMDB 0.9.90", new LmdbError({ path: "any", reason }))
    assert.strictEqual(finding!.level, "error")
    assert.include(finding!.todo, "node build")
    assert.strictEqual(levels(BuildFindings.findings("LMDB 0.9.29", undefined)), "ok")
  })
})

const map = (used: number, configured = 0) =>
  levels(MapCheck.findings({ mapSize: 1_000, used, pageSize: 4_096, configured }))

/** With so many of 10 slots taken. */
const taken = (count: number) =>
  levels(
    ReadersCheck.findings({
      mapSize: 1,
      maxReaders: 10,
      lastTransactionId: "7",
      readers: Array.from({ length: count }, (_, pid) => ({ pid, isAlive: true, transactionId: "5" }))
    })
  )

describe("an LMDB", () => {
  it("is nearly full from 80 % on, and full from 95 % on", () => {
    assert.strictEqual(map(799), "ok")
    assert.strictEqual(map(800), "warning")
    assert.strictEqual(map(950), "error")
    assert.strictEqual(map(1, 1_000), "ok")
    assert.strictEqual(map(1, 999), "ok,warning")
    assert.strictEqual(map(1, 1_001), "ok,warning")
  })

  it("has few slots for readers left from 80 % on", () => {
    assert.deepStrictEqual([taken(0), taken(7), taken(8), taken(10)], ["ok", "ok", "warning", "error"])
  })
})
