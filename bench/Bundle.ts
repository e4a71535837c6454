/**
 * Where the measured code is: bundled as it is published, since loading TypeScript file by file takes memory and time
 * that no user pays. The command goes to dist/ (as `npm run build` makes it), the scenarios with the worker thread's
 * module to dist-bench/.
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
