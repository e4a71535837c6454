/** The words for logs, in the file and on the command line. */
export const logLevels = ["trace", "debug", "info", "warning", "error", "fatal", "panic"] as const
export const logFormats = ["human", "logfmt", "json"] as const
export const logTimestamps = ["short", "disable", "full"] as const

/** `WARN` is warning: any case, and the short form. */
export const readLogLevel = (text: string): string => {
  const lower = text.toLowerCase()
  return lower === "warn" ? "warning" : lower
}

/** Empty is short. */
export const readLogTimestamp = (text: string): string => (text === "" ? "short" : text)
