/**
 * Waits for the children that process 1 of a container inherits, such as processes of `docker exec` and of probes whose
 * parents have ended. Otherwise each of them would stay in the process table until the container ends.
 *
 * Children that Node has started itself are ignored: Node waits for them and reports their exit codes.
 */
// @effect-diagnostics-next-line nodeBuiltinImport:off -- for objects that Node makes, before there are any services
import type { ChildProcess } from "node:child_process"
import * as diagnostics from "node:diagnostics_channel"
import type { ChildTable } from "../lmdb/native/NativeAddon.ts"

/** Milliseconds between two checks. Probes run every few seconds, and a zombie costs nothing but its pid. */
const interval = 5_000

const isOwn = (own: ReadonlySet<ChildProcess>, ended: number): boolean => {
  for (const { pid } of own) if (pid === ended) return true
  return false
}

/** Returns the children that Node has started and whose end it has not reported yet. */
export const ownChildren = (): ReadonlySet<ChildProcess> => {
  const own = new Set<ChildProcess>()
  diagnostics.subscribe("child_process", (message) => {
    const { process: child } = message as { readonly process: ChildProcess }
    own.add(child)
    child.once("exit", () => own.delete(child))
    child.once("error", () => own.delete(child))
  })
  return own
}

/**
 * Waits for all children that have ended, up to the first one that Node has started. The kernel shows one at a time,
 * and Node is about to wait for that one.
 */
export const reap = ({ endedChild, reapChild }: ChildTable, own: ReadonlySet<ChildProcess>): void => {
  for (;;) {
    const pid = endedChild()
    if (pid <= 0 || isOwn(own, pid) || reapChild(pid) !== pid) return
  }
}

/** Runs for as long as this process, if it is process 1. Must be called before anything starts a child. */
export const start = (): void => {
  if (process.pid !== 1) return
  const own = ownChildren()
  // @effect-diagnostics-next-line globalTimers:off -- for the life of the process
  setInterval(
    () =>
      void import("../lmdb/native/NativeAddon.ts").then(
        ({ children }) => children !== undefined && reap(children, own),
        // Without the package, no command runs for long.
        () => {}
      ),
    interval
  ).unref()
}
