/**
 * The line of a terminal that shows progress. Whoever else writes to that terminal erases it first: a line of the log
 * would begin behind it.
 */

/** Goes back to the first column and erases the line. */
export const eraseLine = "\r\x1b[K"

let isShown = false

/** To be called by what shows the line and takes it away. */
export const setShown = (shown: boolean): void => {
  isShown = shown
}

/** What to write before a line of another kind. The progress comes again by itself. */
export const takeErase = (): string => {
  if (!isShown) return ""
  isShown = false
  return eraseLine
}
