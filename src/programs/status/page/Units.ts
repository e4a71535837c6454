/** Formats numbers, each with its exact value as a tooltip. */
import { DateTime } from "effect"
import { type Html, markup } from "./Html.ts"

const units = ["B", "KiB", "MiB", "GiB", "TiB"] as const

export const bytes = (value: number): Html => {
  const power = value < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(value) / 10))
  const scaled = value / 1024 ** power
  const digits = power === 0 || scaled >= 100 ? 0 : 1
  return markup`<span title="${value} bytes">${scaled.toFixed(digits)} ${units[power]}</span>`
}

export const count = (value: number): Html =>
  markup`<span title="${value}">${value < 10_000 ? value : value < 1e6 ? `${(value / 1e3).toFixed(1)} k` : `${(value / 1e6).toFixed(1)} M`}</span>`

/** Formats a duration, such as `3 s`, `5 min`, `2.1 h` or `4.0 d`. */
export const span = (millis: number): string => {
  const seconds = Math.max(0, millis) / 1e3
  if (seconds < 120) return `${seconds < 10 ? Math.round(seconds * 10) / 10 : Math.round(seconds)} s`
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`
  return seconds < 172_800 ? `${(seconds / 3_600).toFixed(1)} h` : `${(seconds / 86_400).toFixed(1)} d`
}

const timeOf = (at: number): string =>
  Math.abs(at) <= 8.64e15 ? DateTime.formatIso(DateTime.makeUnsafe(at)) : String(at)

/** Formats a time in UTC, such as `2026-01-31 12:34:56`. */
export const time = (at: number): Html => {
  const text = timeOf(at)
  return markup`<time datetime="${text}" title="${text}">${text.slice(0, 19).replace("T", " ")}</time>`
}

/** Formats how long ago a time was, or how far ahead it is. */
export const ago = (at: number | undefined, now: number): Html => {
  if (at === undefined) return markup`<span class="none">–</span>`
  const text = at > now + 1_000 ? `${span(at - now)} ahead` : `${span(now - at)} ago`
  const exact = timeOf(at)
  return markup`<time datetime="${exact}" title="${exact}">${text}</time>`
}
