/**
 * Process settings that reduce memory use, and the CPU time spent on it, and that return freed memory to the system.
 *
 * glibc's allocator: by default, freeing a buffer between 128 KiB and 32 MiB raises the size from which buffers are
 * mapped individually. Later buffers of that size come from heaps, which return only the memory at their end. As a
 * result, an idle daemon held 84 to 140 MB instead of 54 MB after a dump and a merge of 8 million entries, and a change
 * took twice the system time, because the heap grew and shrank.
 *
 * By default, glibc also has a heap per thread, and the heap of any but the main thread grows only by the requested
 * size. During a first load, that caused a system call for each LMDB page written (20,000 for 800,000 entries), while
 * the system calls of all other threads waited. With one heap for all threads, a first load of 8 million entries takes
 * 4.7 s instead of 5.3 s. Other allocators and systems ignore these settings.
 *
 * V8's young generation: it grows to 134 MB per thread under load, without being any faster here.
 *
 * Both settings are read at process start, so this process replaces itself once, before it has opened anything. Its
 * pid, standard streams and arguments stay the same.
 */
import { Effect } from "effect"

/**
 * If the user has set a value, nothing is changed. glibc reads an empty value as 0, maps every buffer, and becomes four
 * times slower.
 */
const variable = "MALLOC_MMAP_THRESHOLD_"

/**
 * 128 KiB is the allocator's default, which it no longer raises once it is set explicitly. One heap for all threads.
 */
export const environment = { [variable]: "131072", MALLOC_ARENA_MAX: "1" }

/** MB of one of the three parts of the young generation. */
const semiSpace = 4

/**
 * Node's flags. The second one is unrelated to memory, but this is where the process is restarted: see DefaultSignals.
 */
export const flags: ReadonlyArray<string> = [`--max-semi-space-size=${semiSpace}`, "--disable-sigusr1"]

/** The same limit for a worker thread. */
export const resourceLimits = { maxYoungGenerationSizeMb: 3 * semiSpace }

/**
 * Tested first, because a failed replacement ends the process. A security policy may forbid it, or an upgrade may have
 * removed the file or a flag.
 */
const canStartAgain = Effect.gen(function* () {
  // Loaded here, because it takes 5 ms and only the commands that restart need it.
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
  // A connected parent process would lose its channel.
  if (process.platform !== "linux" || (process.env[variable] ?? "") !== "" || process.connected) return Effect.void
  return Effect.flatMap(canStartAgain, (can) => (can ? replace : Effect.void))
}).pipe(
  // Node's permission model may forbid either step. The only consequence is a higher use of memory.
  Effect.catchDefect(() => Effect.void)
)
