import { assert, describe, it } from "@effect/vitest"
import { stripVTControlCharacters } from "node:util"
import { Cause, DateTime, Duration, Redacted, Schema } from "effect"
import { human, json, type Line, logfmt, rfc3339 } from "../../../src/layers/logs/LogsFormat.ts"
import { SpoolError } from "../../../src/services/Spool.ts"

const date = DateTime.toDate(DateTime.makeUnsafe("2024-01-31T09:05:07.123Z"))
const line = (overrides: Partial<Line> = {}): Line => ({
  date,
  secondsSinceStart: 12.9,
  level: "Info",
  message: "Stored snapshot",
  fields: {},
  ...overrides
})

const fields = {
  txnID: 12_345_678_901_234_567_890n,
  time_total: Duration.millis(1_234),
  db: "main",
  snapshot_name: "main__a__20240131-090507-123456789__GX.pb.gz",
  ratio: 3.5,
  ok: true,
  absent: undefined,
  reason: 'a "b"\n'
}

describe("logfmt", () => {
  it("has time, level and message, then the fields by name, quoted if needed", () => {
    assert.strictEqual(
      logfmt(line({ fields }), "short"),
      `time="${rfc3339(date)}" level=info msg="Stored snapshot" db=main ok=true ratio=3.5 reason="a \\"b\\"\\n" ` +
        "snapshot_name=main__a__20240131-090507-123456789__GX.pb.gz time_total=1.234s txnID=12345678901234567890"
    )
  })

  it("short and full look the same, disable leaves the time out", () => {
    assert.strictEqual(logfmt(line(), "full"), logfmt(line(), "short"))
    assert.strictEqual(logfmt(line(), "disable"), `level=info msg="Stored snapshot"`)
  })

  it("gives the levels the names of the reference", () => {
    const names = (["Trace", "Debug", "Info", "Warn", "Error", "Fatal"] as const).map((level) =>
      logfmt(line({ level, message: "m" }), "disable")
    )
    assert.deepStrictEqual(
      names,
      ["trace", "debug", "info", "warning", "error", "fatal"].map((name) => `level=${name} msg=m`)
    )
  })

  it("quotes an empty value, and renames a field that has a name of the line's own", () => {
    assert.strictEqual(
      logfmt(line({ message: "m", fields: { a: "", level: 3 } }), "disable"),
      `level=info msg=m a="" fields.level=3`
    )
  })

  it("writes durations as Go does, times, errors and objects as texts", () => {
    const values = {
      a: Duration.nanos(1_500n),
      b: Duration.seconds(3_723),
      c: DateTime.makeUnsafe(0),
      d: new SpoolError({ operation: "write", directory: "/s", code: "EIO" }),
      e: { list: [1, 2n] },
      f: Cause.combine(Cause.fail(new Error("one")), Cause.die("two")),
      g: null,
      h: Cause.interrupt(1)
    }
    assert.strictEqual(
      logfmt(line({ message: "m", fields: values }), "disable"),
      `level=info msg=m a="1.5µs" b=1h2m3s c="1970-01-01T00:00:00.000Z" ` +
        `d="spool in /s: write failed with EIO: check that spool_directory exists and is writable by this user" ` +
        `e="{\\"list\\":[1,\\"2n\\"]}" f="one; two" g=null h=interrupted`
    )
  })
})

describe("json", () => {
  it("is one object with the same keys, durations in nanoseconds and 64-bit numbers in full", () => {
    const text = json(line({ fields }), "short")
    assert.deepStrictEqual(JSON.parse(text), {
      db: "main",
      level: "info",
      msg: "Stored snapshot",
      ok: true,
      ratio: 3.5,
      reason: 'a "b"\n',
      snapshot_name: fields.snapshot_name,
      time: rfc3339(date),
      time_total: 1_234_000_000,
      txnID: 12_345_678_901_234_567_000
    })
    assert.include(text, `"txnID":12345678901234567890`)
    assert.notInclude(json(line(), "disable"), "time")
  })

  it("nests objects and takes what does not end", () => {
    const self: { self?: unknown; n: bigint } = { n: 1n }
    self.self = self
    const { forever, object } = JSON.parse(json(line({ fields: { object: self, forever: Duration.infinity } }), "full"))
    assert.isNull(forever)
    assert.strictEqual(object.n, "1n")
  })
})

describe("human, on a terminal", () => {
  it("begins with level, seconds since the start, database and message", () => {
    assert.strictEqual(
      stripVTControlCharacters(human(line({ fields: { db: "main", txnID: 7 } }), "short")),
      "INFO[0012] [main          ] Stored snapshot              txnID=7"
    )
    assert.strictEqual(stripVTControlCharacters(human(line(), "short")), "INFO[0012] Stored snapshot")
  })

  it("has the time in full, or none", () => {
    assert.strictEqual(
      stripVTControlCharacters(human(line({ level: "Warn" }), "full")),
      `WARN[${rfc3339(date)}] Stored snapshot`
    )
    assert.strictEqual(stripVTControlCharacters(human(line({ level: "Error" }), "disable")), "ERRO Stored snapshot")
  })

  it("is coloured by level", () => {
    assert.strictEqual(human(line({ level: "Error", message: "m" }), "disable"), "\x1b[31mERRO\x1b[0m m")
    assert.strictEqual(
      human(line({ message: "m", fields: { a: 1 } }), "disable"),
      `\x1b[36mINFO\x1b[0m ${"m".padEnd(44)}  \x1b[36ma\x1b[0m=1`
    )
  })

  it("keeps lines apart, and lets nobody else drive the terminal", () => {
    const text = stripVTControlCharacters(
      human(line({ message: "a\nb\x1b[2J\x9b", fields: { instance: "\x1b[2J\x7f" } }), "disable")
    )
    assert.strictEqual(text, `INFO ${"a\nb\\u001b[2J\\u009b".padEnd(44)}  instance="\\u001b[2J\\u007f"`)
  })
})

const isControl = (character: string) => character < " " || (character >= "\x7f" && character <= "\x9f")

describe("every format", () => {
  const secret = Redacted.make("hunter2")
  const formats = { logfmt, json, human }

  for (const [name, format] of Object.entries(formats)) {
    it(`${name} shows no secret`, () => {
      const text = format(line({ fields: { secret, inside: { secret }, list: [secret] } }), "full")
      assert.notInclude(text, "hunter2")
      assert.include(text, "<redacted>")
    })

    it.prop(
      `${name} is one line without control characters, whatever the fields are`,
      [Schema.Record(Schema.String, Schema.Unknown)],
      ([fields]) => {
        const text = format(line({ message: "m", fields: { text: JSON.stringify(fields), fields } }), "full")
        for (const character of stripVTControlCharacters(text)) assert.isFalse(isControl(character))
      }
    )
  }
})
