/**
 * Settings of a process with which it takes little memory and little time for it, and gives back what was freed.
 *
 * glibc's allocator: by default each freed buffer of 128 KiB or more, up to 32 MiB, raises the size from which buffers
 * are mapped one by one: later ones of that size come from heaps that give back only what is at their end. After a dump
 * and a merge of 8 million entries an idle daemon so held 84 to 140 MB instead of 54, and a change took twice the
 * system's time: the heap grew and shrank.
 *
 * By default glibc also has a heap for each thread, and one that is not the main thread's grows by no more than is
 * asked for: in a first load a call of the system for each page of LMDB's that is written, 20,000 among 800,000
 * entries, while all other threads wait with theirs. With one heap for all threads a first load of 8 million entries
 * takes 4.7 s instead of 5.3. Other allocators and systems don't know these settings.
 *
 * V8's young generation: it grows to 134 MB a thread while there is much to do, and is no faster for it here.
 *
 * Both are read when a process starts, so this one replaces itself once, before it has anything open: its number,
 * standard streams and arguments stay.
 */
import { Effect } from "effect"

/**
 * With a value all is left alone. Empty it is 0 to glibc, which then maps each buffer, and makes all four times slower.
 */
const variable = "MALLOC_MMAP_THRESHOLD_"

/** 128 KiB: the allocator's own, which it keeps once it was told; and one heap. */
export const environment = { [variable]: "131072", MALLOC_ARENA_MAX: "1" }

/** MB of one of the three parts of the young generation. */
const semiSpace = 4

/** Of node. The second is no matter of memory, but this is where the process starts again: see DefaultSignals. */
export const flags: ReadonlyArray<string> = [`--max-semi-space-size=${semiSpace}`, "--disable-sigusr1"]

/** The same for a worker thread. */
export const resourceLimits = { maxYoungGenerationSizeMb: 3 * semiSpace }

/**
 * Tried first, since a replacement that fails ends the process: a security policy may forbid it, an upgrade may have
 * removed the file or a flag.
 */
const canStartAgain = Effect.gen(function* () {
  // Only the commands that start again pay for it: it takes 5 ms.
  const { execFile } = yield* Effect.promise(() => import("node:child_process"))
  return yield* Effect.callback<boolean>((resume) => {
    execFile(process.execPath, [...flags, "--version"], (error) => resume(Effect.succeed(error === null)))
  })
})

const replace = Effect.sync(() => {
  const args = [process.execPath, ...flags, ...process.execArgv, ...process.argv.slice(1)]
  const given = Object.entries(process.env).filter(([name, value]) => name !== variable || value !== "")
  process.execve?.(process.execPath, args, { ...environment, ...Object.fromEntries(given) })
})

/** Does not return when the process is replaced. */
export const giveBackFreed = Effect.suspend(() => {
  // A parent that is connected would lose the channel.
  if (process.platform !== "linux" || (process.env[variable] ?? "") !== "" || process.connected) return Effect.void
  return Effect.flatMap(canStartAgain, (can) => (can ? replace : Effect.void))
}).pipe(
  // Node's permission model may forbid either: more memory is used then, and that is all.
  Effect.catchDefect(() => Effect.void)
)
