/** Finds the memory limit of this process's cgroup (Linux, version 1 or 2): the lowest limit of it and its parents. */
import { Effect, FileSystem } from "effect"

const read = (fs: FileSystem.FileSystem, file: string) => Effect.orElseSucceed(fs.readFileString(file), () => "")

/**
 * Returns undefined for "max" and for a number as large as an address space, which both mean that there is no limit.
 */
const limitOf = (text: string): number | undefined => {
  const bytes = Number.parseInt(text.trim(), 10)
  return Number.isNaN(bytes) || bytes > 2 ** 53 ? undefined : bytes
}

/** Returns the path and all of its parents. */
const ancestors = (path: string): ReadonlyArray<string> => {
  const parts = path.split("/").filter((part) => part !== "" && part !== "..")
  return Array.from({ length: parts.length + 1 }, (_, length) => `/${parts.slice(0, length).join("/")}`)
}

/** Returns the limit in bytes, or undefined if none is visible. Tests set `root`, the root of the file system. */
export const limitBytes = Effect.fnUntraced(function* (root = "") {
  const fs = yield* FileSystem.FileSystem
  const lines = (yield* read(fs, `${root}/proc/self/cgroup`)).split("\n")
  const unified = lines.find((line) => line.startsWith("0::"))?.slice(3)
  const legacy = lines.find((line) => /^\d+:([^:]*,)?memory(,[^:]*)?:/.test(line))?.replace(/^[^:]*:[^:]*:/, "")
  const files = [
    ...(unified === undefined ? [] : ancestors(unified).map((path) => `/sys/fs/cgroup${path}/memory.max`)),
    ...(legacy === undefined
      ? []
      : ancestors(legacy).map((path) => `/sys/fs/cgroup/memory${path}/memory.limit_in_bytes`))
  ]
  const limits = (yield* Effect.forEach(files, (file) => read(fs, root + file))).flatMap((text) => limitOf(text) ?? [])
  return limits.length === 0 ? undefined : Math.min(...limits)
})
