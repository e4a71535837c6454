/** The words of the log settings, in the file and on the command line. */
export const logLevels = ["trace", "debug", "info", "warning", "error", "fatal", "panic"] as const
export const logFormats = ["human", "logfmt", "json"] as const
export const logTimestamps = ["short", "disable", "full"] as const

/** Ignores case and accepts the short form: `WARN` is `warning`. */
export const readLogLevel = (text: string): string => {
  const lower = text.toLowerCase()
  return lower === "warn" ? "warning" : lower
}

/** An empty text stands for `short`. */
export const readLogTimestamp = (text: string): string => (text === "" ? "short" : text)
