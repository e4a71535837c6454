/**
 * What signals do while nothing else of the command handles them.
 *
 * SIGUSR1 does nothing. Node would listen for a debugger then, on a port of this host and without authentication: every
 * local user could run code as this one. Programs that rotate logs send that signal.
 *
 * SIGTERM and SIGINT end process 1 of a PID namespace, such as the command of a container, as they end any other
 * process. By itself the kernel drops them there: `docker stop` would wait until it may kill, and Ctrl-C would do
 * nothing. Whoever listens for these signals takes over: see Signals and MinimumPid.
 */
import * as os from "node:os"
import { endProcess } from "./EndProcess.ts"

/** As shells say it. */
const signalCode = 128

const endUnlessHandled = (signal: NodeJS.Signals) => {
  if (process.listenerCount(signal) === 1) endProcess(signalCode + os.constants.signals[signal])
}

/** To be called once, before anything of the command is loaded. */
export const handleSignals = (): void => {
  process.on("SIGUSR1", () => {})
  if (process.pid !== 1) return
  process.on("SIGTERM", endUnlessHandled)
  process.on("SIGINT", endUnlessHandled)
}
