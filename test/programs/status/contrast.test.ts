/** The colours of the status page: text on its backgrounds has the contrast of WCAG's level AA, in both schemes. */
import { assert, describe, it } from "@effect/vitest"
import { style } from "../../../src/programs/status/page/Assets.ts"

type Colours = Readonly<Record<string, string>>

const coloursIn = (text: string): Colours =>
  Object.fromEntries(Array.from(text.matchAll(/--(\w+):(#[0-9a-f]+)/g), ([, name, value]) => [name!, value!]))

const light = coloursIn(/^:root\{([^}]*)\}/m.exec(style)![1]!)
const dark = { ...light, ...coloursIn(/prefers-color-scheme:dark\)\{:root\{([^}]*)\}/.exec(style)![1]!) }

/** Relative luminance by WCAG 2. */
const luminance = (colour: string): number => {
  const digits = colour.length === 4 ? colour.replace(/[0-9a-f]/g, "$&$&") : colour
  const [red, green, blue] = [1, 3, 5].map((at) => {
    const value = parseInt(digits.slice(at, at + 2), 16) / 255
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4
  })
  return 0.2126 * red! + 0.7152 * green! + 0.0722 * blue!
}

const contrast = (a: string, b: string): number => {
  const [darker, brighter] = [luminance(a), luminance(b)].toSorted((x, y) => x - y)
  return (brighter! + 0.05) / (darker! + 0.05)
}

/** Each colour of text, with what it is on. */
const pairs = [
  ["fg", "bg"],
  ["fg", "card"],
  ["soft", "bg"],
  ["soft", "card"],
  ["link", "bg"],
  ["link", "card"],
  ["ok", "okbg"],
  ["warn", "warnbg"],
  ["bad", "badbg"]
] as const

describe("the colours of the status page", () => {
  it("are measured as WCAG does", () => {
    assert.approximately(contrast("#fff", "#000000"), 21, 0.001)
    assert.approximately(contrast("#777777", "#ffffff"), 4.48, 0.005)
  })

  for (const [scheme, colours] of Object.entries({ light, dark })) {
    it(`have a contrast of 4.5 at least: ${scheme}`, () => {
      for (const [text, background] of pairs)
        assert.isAtLeast(contrast(colours[text]!, colours[background]!), 4.5, `${text} on ${background}`)
    })
  }

  it("are all in these pairs, but that of lines", () => {
    const paired = new Set<string>(pairs.flat())
    assert.deepStrictEqual(
      Object.keys(dark).filter((name) => !paired.has(name)),
      ["line"]
    )
    assert.notMatch(style.replace(/:root\{[^}]*\}/g, ""), /#[0-9a-f]{3}/, "no colour has no name")
  })
})
