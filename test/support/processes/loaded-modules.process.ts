/**
 * Loaded into a process (`--import`): at its end, the modules of Node's that it had loaded go to the file that
 * LIGHTNINGSTREAM_TEST_LOADED names, as JSON.
 */
// @effect-diagnostics-next-line nodeBuiltinImport:off -- written while the process ends
import * as fs from "node:fs"
import { isMainThread } from "node:worker_threads"

// @effect-diagnostics-next-line processEnv:off -- it is loaded before Effect is
const file = process.env.LIGHTNINGSTREAM_TEST_LOADED

const loaded = (): unknown => Reflect.get(process, "moduleLoadList")

if (isMainThread && file !== undefined) process.on("exit", () => fs.writeFileSync(file, JSON.stringify(loaded())))
