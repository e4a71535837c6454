/**
 * Ends this process at once, whatever its threads are doing. The kernel then releases its resources. LMDB's write lock
 * is a robust mutex, which the next process that asks for it can take.
 *
 * `process.exit` is not enough: it waits for all threads, and so forever for a thread that waits for LMDB's write lock
 * or for a disk. SIGKILL is enough, except for process 1 of a PID namespace, such as the command of a container: the
 * kernel drops signals that this process or its children send to it, unless there is a handler. There, the process
 * replaces its program (execve). The kernel then ends all threads but one, as SIGKILL does, and releases what they
 * held. The new program is a Node process that does nothing but exit with the given code. In contrast to
 * `process.abort`, this leaves no core file, which would contain keys and entries and would be written while the lock
 * is held.
 */
// @effect-diagnostics-next-line nodeBuiltinImport:off -- nothing may be awaited here
import * as fs from "node:fs"

/** The exit code that shells report for a process killed by SIGKILL. */
const killedCode = 137

/** The running program, even when an upgrade has removed or replaced its file. */
const ownProgram = "/proc/self/exe"

/** Returns only when the program cannot be replaced. */
const replaceByExit = (code: number): void => {
  try {
    const program = fs.existsSync(ownProgram) ? ownProgram : process.execPath
    // The environment is empty, because NODE_OPTIONS could contain anything.
    process.execve?.(program, [process.execPath, "-e", `process.exit(${code})`], {})
  } catch {
    // Node's permission model forbids it, or this system does not support it.
  }
}

/** Kills the process. It ends by SIGKILL or, as process 1, with the exit code that stands for it. */
export const killProcess = (): never => {
  process.kill(process.pid, "SIGKILL")
  replaceByExit(killedCode)
  return process.abort()
}

/** Ends the process with an exit code. Where the program can be replaced, it does not wait for any thread. */
export const endProcess = (code: number): never => {
  replaceByExit(code)
  return process.exit(code)
}
