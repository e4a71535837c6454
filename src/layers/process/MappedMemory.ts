/**
 * Reads the memory of mapped files from /proc/self/smaps, for which the kernel walks all pages of the process. Each
 * thread therefore reads and parses it at most once a second, whatever the number of files. It is called in worker
 * threads only.
 */
import { Effect } from "effect"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- /proc, without a service
import * as fs from "node:fs/promises"

/** Bytes by the field of smaps in lower case, such as rss, pss and shared_clean. */
export type Mapped = Readonly<Record<string, number>>

const freshMillis = 1_000

/** Matches `address perms offset device inode   path`. The path of a removed file is followed by " (deleted)". */
const head = /^[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ \d+\s*(.*?)(?: \(deleted\))?$/
const field = /^(\w+):\s+(\d+) kB$/

/** Returns the sums over all mappings of a file, by its path. */
export const parse = (smaps: string): ReadonlyMap<string, Mapped> => {
  const files = new Map<string, Record<string, number>>()
  let mapped: Record<string, number> | undefined
  for (const line of smaps.split("\n")) {
    const path = head.exec(line)?.[1]
    if (path !== undefined) {
      // Other mappings have no file, or are the kernel's own.
      mapped = path.startsWith("/") ? (files.get(path) ?? {}) : undefined
      if (mapped !== undefined) files.set(path, mapped)
    } else if (mapped !== undefined) {
      const [, name, kilobytes] = field.exec(line) ?? []
      if (name === undefined) continue
      const key = name.toLowerCase()
      mapped[key] = (mapped[key] ?? 0) + Number(kilobytes) * 1024
    }
  }
  return files
}

let last: { readonly at: number; readonly files: Promise<ReadonlyMap<string, Mapped>> } | undefined

const read = (): Promise<ReadonlyMap<string, Mapped>> => {
  const now = performance.now()
  if (last === undefined || now - last.at >= freshMillis) {
    // Only Linux has this file.
    const text = fs.readFile("/proc/self/smaps", "utf8").catch(() => "")
    last = { at: now, files: text.then(parse) }
  }
  return last.files
}

/** Returns the memory of the file at an absolute path. */
export const of = (path: string): Effect.Effect<Mapped> =>
  Effect.map(Effect.promise(read), (files) => files.get(path) ?? {})
