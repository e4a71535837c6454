/**
 * Process of ZombieReaper.test.ts. It starts a child, looks for ended children before Node can, and exits with the exit
 * code of the child that Node reports, or with 99 if that was lost.
 */
// @effect-diagnostics-next-line nodeBuiltinImport:off -- Node's own children are what is tested
import { spawn } from "node:child_process"
import { children } from "../../../src/layers/lmdb/native/NativeAddon.ts"
import * as ZombieReaper from "../../../src/layers/process/ZombieReaper.ts"

const own = process.argv[2] === "none" ? new Set<never>() : ZombieReaper.ownChildren()

const child = spawn("sh", ["-c", "exit 42"])
child.once("exit", (code) => process.exit(code ?? 99))

// The event loop is blocked, so that this comes before Node looks for the child.
const until = performance.now() + 10_000
while (children!.endedChild() === 0 && performance.now() < until);
ZombieReaper.reap(children!, own)

// For Node, a child whose exit code was lost never ends.
// @effect-diagnostics-next-line globalTimers:off -- the end of this process
setTimeout(() => process.exit(99), 3_000)
