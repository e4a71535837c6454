/**
 * Started by ZombieReaper.test.ts as a process: starts a child, looks for children that have ended before Node can, and
 * exits with the code that Node tells of the child; with 99 when it is lost.
 */
// @effect-diagnostics-next-line nodeBuiltinImport:off -- Node's own children are what is tested
import { spawn } from "node:child_process"
import { children } from "../../../src/layers/lmdb/native/NativeAddon.ts"
import * as ZombieReaper from "../../../src/layers/process/ZombieReaper.ts"

const own = process.argv[2] === "none" ? new Set<never>() : ZombieReaper.ownChildren()

const child = spawn("sh", ["-c", "exit 42"])
child.once("exit", (code) => process.exit(code ?? 99))

// The event loop stands still, so that this comes before Node's own look.
const until = performance.now() + 10_000
while (children!.endedChild() === 0 && performance.now() < until);
ZombieReaper.reap(children!, own)

// A child whose exit code is lost never ends for Node.
// @effect-diagnostics-next-line globalTimers:off -- the end of this process
setTimeout(() => process.exit(99), 3_000)
