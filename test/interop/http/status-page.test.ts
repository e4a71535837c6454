/** The status page of a running daemon in a real browser. */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import * as Chromium from "../../support/Chromium.ts"
import * as Daemon from "../../support/Daemon.ts"
import { eventually } from "../../support/Eventually.ts"
import { addressOf } from "../../support/HttpPages.ts"
import { describeWith } from "../../support/servers/RealServers.ts"

const names = ["first", "second", "third", "fourth", "fifth"]

/** A daemon with five databases, one of which has a quarantined snapshot. */
const startDaemon = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const directory = yield* fs.makeTempDirectoryScoped({ prefix: "status-page-" })
  yield* fs.makeDirectory(`${directory}/bucket`)
  yield* fs.writeFileString(`${directory}/bucket/fifth__b__20250101-000000-000000000__GX.pb.gz`, "no snapshot")
  const lmdb = (name: string) => Daemon.nativeFile(`${directory}/${name}`, { create: true, map_size: "1MB" })
  const config = {
    ...Daemon.quick,
    instance: "a",
    lmdbs: Object.fromEntries(names.map((name) => [name, lmdb(name)])),
    storage: Daemon.folderBucket(`${directory}/bucket`),
    http: { address: "127.0.0.1:0" }
  }
  const daemon = yield* Daemon.start({ args: ["sync"], config })
  yield* daemon.logged("Snapshot quarantined")
  return { daemon, address: yield* addressOf(daemon) }
})

type Tab = Effect.Success<ReturnType<typeof Chromium.open>>

/** Waits until the page has been read again. */
const untilRefreshed = Effect.fnUntraced(function* (tab: Tab) {
  yield* tab.evaluate(`document.getElementById("state").firstElementChild.dataset.old = "yes"`)
  yield* eventually(
    "the page is read again",
    Effect.map(tab.evaluate(`document.querySelector("[data-old]") === null`), (isNew) => (isNew ? true : undefined))
  )
})

const isOpen = (name: string) => `document.getElementById("db-${name}").open`

/** Texts with a contrast of less than 4.5 to what is behind them. */
const faint = `(() => {
  const channel = (value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
  const luminance = ([red, green, blue]) =>
    0.2126 * channel(red / 255) + 0.7152 * channel(green / 255) + 0.0722 * channel(blue / 255)
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number)
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = numbers(getComputedStyle(at).backgroundColor)
      if (colour.length === 3 || colour[3] === 1) return colour
    }
    return [255, 255, 255]
  }
  const found = []
  let seen = 0
  for (const element of document.querySelectorAll("main *")) {
    if (![...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim())) continue
    seen++
    const [a, b] = [luminance(numbers(getComputedStyle(element).color)), luminance(behind(element))]
    if ((Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < 4.5) found.push(element.outerHTML)
  }
  return { seen, found }
})()`

describeWith("the status page, in a browser,", await Chromium.installed(), (program) => {
  layer(NodeServices.layer, { excludeTestServices: true })((it) => {
    it.effect(
      "is read again and again; open details, the filter, the focus and what is scrolled to stay",
      () =>
        Effect.gen(function* () {
          const { address, daemon } = yield* startDaemon
          const tab = yield* Chromium.open(program)
          yield* tab.goTo(`http://${address}/`, { width: 1000, height: 300 })
          assert.isFalse(yield* tab.evaluate(isOpen("first")))
          assert.isTrue(yield* tab.evaluate(isOpen("fifth")), "it is not in sync")
          yield* tab.evaluate(`(() => {
            document.querySelector("#db-first summary").click()
            document.querySelector("#db-fifth summary").click()
            document.querySelector("#db-second summary").focus()
            window.scrollTo(0, 350)
          })()`)
          yield* untilRefreshed(tab)
          assert.isTrue(yield* tab.evaluate(isOpen("first")))
          assert.isFalse(yield* tab.evaluate(isOpen("fifth")))
          assert.isFalse(yield* tab.evaluate(isOpen("third")))
          assert.strictEqual(yield* tab.evaluate("window.scrollY"), 350)
          assert.strictEqual(yield* tab.evaluate("document.activeElement.parentElement.id"), "db-second")

          const filter = `(words) => {
            document.getElementById("filter").value = words
            document.getElementById("filter").dispatchEvent(new Event("input"))
          }`
          const shown = `[...document.querySelectorAll("details")].flatMap((one) => one.hidden ? [] : [one.id])`
          yield* tab.evaluate(`(${filter})("FI")`)
          yield* untilRefreshed(tab)
          assert.deepStrictEqual(yield* tab.evaluate(shown), ["db-first", "db-fifth"])
          yield* tab.evaluate(`(${filter})("failing")`)
          assert.deepStrictEqual(yield* tab.evaluate(shown), ["db-fifth"])
          yield* tab.evaluate(`(${filter})("")`)
          yield* tab.evaluate(`document.getElementById("open").click()`)
          for (const name of names) assert.isTrue(yield* tab.evaluate(isOpen(name)), name)
          yield* tab.evaluate(`document.getElementById("close").click()`)
          for (const name of names) assert.isFalse(yield* tab.evaluate(isOpen(name)), name)

          yield* daemon.signal("SIGKILL")
          yield* eventually(
            "the page says that the daemon is gone",
            Effect.map(tab.evaluate(`document.getElementById("live").textContent`), (text) =>
              String(text).includes("does not answer") ? text : undefined
            )
          )
        }),
      120_000
    )

    it.effect(
      "can be read in both schemes, on a phone without scrolling sideways, and needs nothing from elsewhere",
      () =>
        Effect.gen(function* () {
          const { address } = yield* startDaemon
          const tab = yield* Chromium.open(program)
          for (const isDark of [false, true]) {
            yield* tab.goTo(`http://${address}/`, { width: 390, height: 800, isDark, isPhone: true })
            yield* tab.evaluate(`document.getElementById("open").click()`)
            const { found, seen } = yield* tab.evaluate(faint)
            assert.deepStrictEqual(found, [])
            assert.isAbove(seen, 50)
            assert.isAtMost(yield* tab.evaluate("document.documentElement.scrollWidth"), 390)
            const background = yield* tab.evaluate("getComputedStyle(document.body).backgroundColor")
            assert.strictEqual(background, isDark ? "rgb(13, 17, 23)" : "rgb(255, 255, 255)")
          }
          const requests = yield* tab.evaluate(`performance.getEntriesByType("resource").map(({ name }) => name)`)
          assert.deepStrictEqual(
            requests.filter((url: string) => url !== `http://${address}/`),
            []
          )
        }),
      120_000
    )
  })
})
