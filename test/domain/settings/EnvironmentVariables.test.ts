import { assert, describe, it } from "@effect/vitest"
import { replaceVariables, unsetIn } from "../../../src/domain/settings/EnvironmentVariables.ts"

const environment = { A: "x", LONG_1: "y", EMPTY: "", DOLLAR: "$A" }

describe("EnvironmentVariables", () => {
  it("replaces names with and without braces, once", () => {
    assert.strictEqual(replaceVariables("$A ${A}b $LONG_1-${LONG_1}$A/$EMPTY.${DOLLAR}", environment), "x xb y-yx/.$A")
  })

  it("$$ is one $, and a $ without a name stays", () => {
    assert.strictEqual(replaceVariables("$$A $$$A p$ $1 $-x $ ${} ${A", environment), "$A $x p$ $1 $-x $ ${} ${A")
  })

  it("names what is not set, each once; what is set and empty is set", () => {
    assert.deepStrictEqual(unsetIn(replaceVariables("${NO_1} $NO_2 $EMPTY ${NO_1} ${NO:-default}", environment)), [
      "NO_1",
      "NO_2",
      "NO:-default"
    ])
    assert.deepStrictEqual(unsetIn("$NOT_REPLACED"), [])
  })
})
