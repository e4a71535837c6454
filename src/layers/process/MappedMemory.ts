/**
 * What /proc/self/smaps says of mapped files. It is read and taken apart at most once a second by each thread, whatever
 * the number of files: the kernel walks all pages of the process for it. Called in the worker threads only.
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

/** By path: the sums over all mappings of a file. */
export const parse = (smaps: string): ReadonlyMap<string, Mapped> => {
  const files = new Map<string, Record<string, number>>()
  let mapped: Record<string, number> | undefined
  for (const line of smaps.split("\n")) {
    const path = head.exec(line)?.[1]
    if (path !== undefined) {
      // Others are memory without a file, and the kernel's own.
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
    // Other systems have no such file.
    const text = fs.readFile("/proc/self/smaps", "utf8").catch(() => "")
    last = { at: now, files: text.then(parse) }
  }
  return last.files
}

/** `path`: absolute. */
export const of = (path: string): Effect.Effect<Mapped> =>
  Effect.map(Effect.promise(read), (files) => files.get(path) ?? {})
