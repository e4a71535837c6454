/**
 * The line of a terminal that shows progress. Any other writer to that terminal must erase the line first. Otherwise a
 * line of the log would begin behind it.
 */

/** Goes back to the first column and erases the line. */
export const eraseLine = "\r\x1b[K"

let isShown = false

/** Must be called when the line is shown or erased. */
export const setShown = (shown: boolean): void => {
  isShown = shown
}

/** Returns the text to write before any other line. The progress is shown again at its next update. */
export const takeErase = (): string => {
  if (!isShown) return ""
  isShown = false
  return eraseLine
}
