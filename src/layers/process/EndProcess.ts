/**
 * Ends this process at once, whatever its threads are doing. The kernel then releases what it holds: LMDB's write lock
 * is robust, the next process that asks for it gets it.
 *
 * `process.exit` does not do that: it waits for all threads, and so forever for one that waits for LMDB's write lock or
 * for a disk. SIGKILL does it, but not to process 1 of a PID namespace, such as the command of a container: the kernel
 * drops each signal that this process or a child of it sends to it, unless there is a handler. Replacing the program
 * does it there, too: the kernel ends all threads but one, as by SIGKILL, and releases what they held; the new program
 * is Node with nothing else to do than to end with the exit code. Unlike `process.abort` this leaves no core file,
 * which would hold keys and entries, and be written while the lock is held.
 */
// @effect-diagnostics-next-line nodeBuiltinImport:off -- nothing may be awaited here
import * as fs from "node:fs"

/** What shells say of a process that SIGKILL ended. */
const killedCode = 137

/** The program itself, also when an upgrade has removed or replaced its file. */
const ownProgram = "/proc/self/exe"

/** Returns when the program cannot be replaced. */
const replaceByExit = (code: number): void => {
  try {
    const program = fs.existsSync(ownProgram) ? ownProgram : process.execPath
    // An empty environment: NODE_OPTIONS could hold anything.
    process.execve?.(program, [process.execPath, "-e", `process.exit(${code})`], {})
  } catch {
    // Node's permission model forbids it, or this system cannot.
  }
}

/** Kills the process: it ends by SIGKILL, or as process 1 with the exit code that stands for it. */
export const killProcess = (): never => {
  process.kill(process.pid, "SIGKILL")
  replaceByExit(killedCode)
  return process.abort()
}

/** Ends the process with an exit code, without waiting for any thread where the program can be replaced. */
export const endProcess = (code: number): never => {
  replaceByExit(code)
  return process.exit(code)
}
