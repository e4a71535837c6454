import { assert, describe, it } from "@effect/vitest"
import { spellingsOf } from "../../../src/commands/cli/Grammar.ts"
import { canonical, spell } from "../../../src/commands/cli/PflagArguments.ts"
import { commands } from "../../../src/main.ts"

const spellings = spellingsOf({ version: "", commands })

const of = (line: string) =>
  canonical(
    spell(
      spellings,
      line.split(" ").filter((word) => word !== "")
    )
  ).join(" ")

describe("PflagArguments", () => {
  it("a value may follow a flag in every way that pflag knows", () => {
    for (const line of [
      "sync -c f",
      "sync -cf",
      "sync -c=f",
      "sync --config f",
      "sync --config=f",
      "-c f sync",
      "--config=f sync",
      "-cf sync"
    ]) {
      assert.strictEqual(of(line), "sync --config=f --", line)
    }
    assert.strictEqual(of("sync --config="), "sync --config= --")
    assert.strictEqual(of("sync -c a=b"), "sync --config=a=b --")
    assert.strictEqual(of("sync -c --debug"), "sync --config=--debug --")
  })

  it("short flags may be joined, the last with its value", () => {
    assert.strictEqual(of("snapshots list -lt"), "snapshots list --long=true --time=true --")
    assert.strictEqual(of("snapshots list -ltp x"), "snapshots list --long=true --time=true --prefix=x --")
    assert.strictEqual(of("snapshots list -ltpx"), "snapshots list --long=true --time=true --prefix=x --")
    assert.strictEqual(of("snapshots list -l=false"), "snapshots list --long=false --")
  })

  it("switches have no value but after =, in Go's spellings", () => {
    assert.strictEqual(of("snapshots dump -l true"), "snapshots dump --local=true -- true")
    for (const value of ["1", "t", "T", "true", "TRUE", "True"])
      assert.strictEqual(of(`sync --debug=${value}`), "sync --debug=true --")
    for (const value of ["0", "f", "F", "false", "FALSE", "False"])
      assert.strictEqual(of(`sync --debug=${value}`), "sync --debug=false --")
    assert.strictEqual(of("sync --debug=maybe"), "sync --debug=maybe --")
  })

  it("flags may be before, between and after words and what the command works on", () => {
    assert.strictEqual(of("--debug snapshots -c f dump a -d x"), "snapshots dump --debug=true --config=f --dbi=x -- a")
    assert.strictEqual(of("--minimum-pid 50 sync"), "sync --minimum-pid=50 --")
  })

  it("of a flag given twice the last counts, unless it is a list", () => {
    assert.strictEqual(
      of("sync -c a -c b --only-db x --only-db=y --debug --debug=false"),
      "sync --config=b --only-db=x --only-db=y --debug=false --"
    )
  })

  it("after -- nothing is a flag", () => {
    assert.strictEqual(of("snapshots dump -l -- -c --"), "snapshots dump --local=true -- -c --")
    assert.strictEqual(of("snapshots dump -"), "snapshots dump -- -")
  })

  it("the same letter is another flag in another command", () => {
    assert.strictEqual(of("snapshots dump -l x"), "snapshots dump --local=true -- x")
    assert.strictEqual(of("snapshots list -l"), "snapshots list --long=true --")
    assert.strictEqual(of("sync -l"), "sync -l --")
  })

  it("the words after help are what it works on", () => {
    assert.strictEqual(of("help snapshots list"), "help -- snapshots list")
    assert.strictEqual(of("help"), "help --")
  })

  it("what is not known stays as it is, for the parser to refuse", () => {
    assert.strictEqual(of("synk --foo=1 -x"), "synk --foo=1 -x")
    assert.strictEqual(of("sync --constructor --__proto__=1 -cf"), "sync --config=f --constructor --__proto__=1 --")
    assert.strictEqual(of("constructor"), "constructor")
    assert.strictEqual(of("sync -c"), "sync --config --")
    assert.strictEqual(of("snapshots dum x"), "snapshots dum x")
  })
})
