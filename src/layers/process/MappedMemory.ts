/**
 * What /proc/self/smaps says of a mapped file. It is read at most once a second by each thread, whatever the number of
 * files: the kernel walks all pages of the process for it. Called in the worker threads only.
 */
import { Effect } from "effect"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- /proc, without a service
import * as fs from "node:fs/promises"

/** Bytes, by the field of smaps in lower case: rss, pss, shared_clean and others. */
export type Mapped = Readonly<Record<string, number>>

const freshMillis = 1_000

/** `address perms offset device inode   path`; a file that was removed has " (deleted)" after its path. */
const head = /^[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ \d+\s*(.*?)(?: \(deleted\))?$/
const field = /^(\w+):\s+(\d+) kB$/

/** The sums over all mappings of the file. */
export const parse = (smaps: string, path: string): Mapped => {
  const mapped: Record<string, number> = {}
  let isIts = false
  for (const line of smaps.split("\n")) {
    const file = head.exec(line)?.[1]
    if (file !== undefined) isIts = file === path
    else if (isIts) {
      const [, name, kilobytes] = field.exec(line) ?? []
      if (name === undefined) continue
      const key = name.toLowerCase()
      mapped[key] = (mapped[key] ?? 0) + Number(kilobytes) * 1024
    }
  }
  return mapped
}

let last: { readonly at: number; readonly text: Promise<string> } | undefined

const read = (): Promise<string> => {
  const now = performance.now()
  if (last === undefined || now - last.at >= freshMillis) {
    // Other systems have no such file.
    last = { at: now, text: fs.readFile("/proc/self/smaps", "utf8").catch(() => "") }
  }
  return last.text
}

/** `path`: absolute. */
export const of = (path: string): Effect.Effect<Mapped> => Effect.map(Effect.promise(read), (text) => parse(text, path))
