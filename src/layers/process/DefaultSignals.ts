/**
 * Default actions of signals while no other part of the command handles them.
 *
 * SIGUSR1 is ignored. Node would start to listen for a debugger, on a local port and without authentication, so that
 * every local user could run code as this user. Programs that rotate logs send that signal.
 *
 * SIGTERM and SIGINT end process 1 of a PID namespace, such as the command of a container, as they end any other
 * process. The kernel by default drops them for process 1: `docker stop` would wait until its timeout and then kill,
 * and Ctrl-C would have no effect. Other listeners for these signals take precedence: see Signals and MinimumPid.
 */
import * as os from "node:os"
import { endProcess } from "./EndProcess.ts"

/** Added to the number of the signal, as shells do. */
const signalCode = 128

const endUnlessHandled = (signal: NodeJS.Signals) => {
  if (process.listenerCount(signal) === 1) endProcess(signalCode + os.constants.signals[signal])
}

/** Must be called once, before any other module of the command is loaded. */
export const handleSignals = (): void => {
  process.on("SIGUSR1", () => {})
  if (process.pid !== 1) return
  process.on("SIGTERM", endUnlessHandled)
  process.on("SIGINT", endUnlessHandled)
}
