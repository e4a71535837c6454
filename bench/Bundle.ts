/**
 * Bundles the measured code as it is published, because loading TypeScript file by file takes memory and time that
 * users do not pay for. The command goes to dist/ (as with `npm run build`), and the scenarios with the module of the
 * worker thread go to dist-bench/.
 */
import { Effect } from "effect"
import * as Child from "./Child.ts"

const at = (path: string): URL => new URL(`../${path}`, import.meta.url)

export const command = at("bin/lightningstream.js")
export const scenario = at("dist-bench/scenario.js")
export const loopProbe = at("dist-bench/loop-probe.js")

export const build = Effect.gen(function* () {
  yield* Child.runOnly(at("bench/bundle-scenarios.ts"), [])
  yield* Child.runOnly(at("scripts/build.mjs"), [])
})
