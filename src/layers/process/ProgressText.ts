/** Formats the progress of long work: `Downloading x: 12 MiB of 120 MiB (10%), 6.0 MiB/s, 18s left`. */
import type { Work } from "../../services/Progress.ts"

const units = ["B", "KiB", "MiB", "GiB", "TiB"]

/** Returns text such as `999 B`, `1.5 KiB` or `23 MiB`, with one decimal below 10. */
export const bytesText = (bytes: number): string => {
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit++
  }
  return `${unit === 0 || value >= 10 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`
}

const pad = (part: number): string => String(part).padStart(2, "0")

/** Returns text such as `42s`, `3m05s` or `2h07m`. */
export const secondsText = (seconds: number): string => {
  const whole = Math.ceil(seconds)
  if (whole < 60) return `${whole}s`
  if (whole < 3_600) return `${Math.floor(whole / 60)}m${pad(whole % 60)}s`
  return `${Math.floor(whole / 3_600)}h${pad(Math.floor(whole / 60) % 60)}m`
}

const numberText = (unit: Work["unit"], amount: number): string =>
  unit === "bytes" ? bytesText(amount) : Math.round(amount).toLocaleString("en")

const amountText = (unit: Work["unit"], amount: number): string =>
  `${numberText(unit, amount)}${unit === "bytes" ? "" : " entries"}`

/** Short: 80 columns have the time left of 10 million entries. `elapsedMillis` must be greater than 0. */
export const progressText = ({ label, total, unit }: Work, done: number, elapsedMillis: number): string => {
  const perSecond = (done * 1_000) / elapsedMillis
  const rate = `${numberText(unit, perSecond)}/s`
  if (total === undefined || total === 0) return `${label}: ${amountText(unit, done)}, ${rate}`
  const percent = Math.min(100, Math.floor((100 * done) / total))
  const left = perSecond === 0 ? "" : `, ${secondsText(Math.max(0, total - done) / perSecond)} left`
  return `${label}: ${numberText(unit, done)} of ${amountText(unit, total)} (${percent}%), ${rate}${left}`
}

/** Number of characters of a label that always remain, which is enough for its verb. */
const labelMin = 16

/**
 * Returns the progress in one line of at most `width` characters. A long label, as with the name of a snapshot, is cut
 * before the amounts are.
 */
export const progressLine = (work: Work, done: number, elapsedMillis: number, width: number): string => {
  const text = progressText(work, done, elapsedMillis)
  const kept = work.label.length - (text.length - width) - 1
  if (text.length <= width || kept < labelMin) return text.slice(0, width)
  return `${work.label.slice(0, kept)}…${text.slice(work.label.length)}`
}
