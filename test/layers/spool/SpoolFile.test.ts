import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- what the system says of a descriptor
import * as fs from "node:fs"
import * as os from "node:os"
import { Worker } from "node:worker_threads"
import * as SpoolFile from "../../../src/layers/spool/SpoolFile.ts"
import { Spool, type Spooled } from "../../../src/services/Spool.ts"
import { collect, recordBytes } from "../../support/fixtures/ByteStreams.ts"
import { suite } from "../../contracts/spool-contract.ts"

const directory = os.tmpdir()
const layerWith = (memoryLimit: number) => SpoolFile.layerWith({ directory, memoryLimit })

suite("file, all of it", layerWith(0))
suite("file, from 500,000 bytes on", layerWith(500_000))

const isOpen = (fd: number): boolean => {
  try {
    return fs.fstatSync(fd).isFile()
  } catch {
    return false
  }
}

const written = Effect.fnUntraced(function* (bytes: Uint8Array) {
  const { open, writer } = yield* Spool
  const { append, finish } = writer(yield* open)
  yield* append(bytes)
  return yield* finish
})

describe("SpoolFile", () => {
  it.live("the file has no name, belongs to nobody else, and is closed with the scope", () =>
    Effect.gen(function* () {
      const { open } = yield* Spool
      const scope = yield* Scope.make()
      const { fd } = yield* Scope.provide(open, scope)
      const { mode, nlink } = fs.fstatSync(fd)
      assert.deepStrictEqual([mode & 0o777, nlink], [0o600, 0])
      assert.match(fs.readlinkSync(`/proc/self/fd/${fd}`), /\/lightningstream-[-0-9a-f]+\.spool \(deleted\)$/)
      yield* Scope.close(scope, Exit.void)
      assert.isFalse(isOpen(fd))
    }).pipe(Effect.provide(layerWith(10)))
  )

  it.live("up to the limit in memory, one byte more in the file alone", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const limit = 600_000
        const kept = yield* written(recordBytes(limit)).pipe(Effect.provide(layerWith(limit)))
        assert.deepStrictEqual([kept.memory.length, fs.fstatSync(kept.place.fd).size], [3, 0])
        const filed = yield* written(recordBytes(limit + 1)).pipe(Effect.provide(layerWith(limit)))
        assert.deepStrictEqual([filed.memory.length, fs.fstatSync(filed.place.fd).size], [0, limit + 1])
      })
    )
  )

  it.live(
    "another thread writes to a place of this one, and reads what this one wrote, in memory and from the file",
    () =>
      Effect.gen(function* () {
        const bytes = recordBytes(700_000)
        for (const limits of [
          [0, 1_000_000],
          [1_000_000, 0]
        ] as const) {
          yield* Effect.scoped(
            Effect.gen(function* () {
              const spooled = yield* written(bytes).pipe(Effect.provide(layerWith(limits[0])))
              const { open, read } = yield* Effect.provide(Spool, layerWith(limits[1]))
              const place = yield* open
              const worker = yield* Effect.acquireRelease(
                Effect.sync(
                  () =>
                    new Worker(new URL("../../support/processes/spool-worker.process.ts", import.meta.url), {
                      workerData: { place, spooled }
                    })
                ),
                (worker) => Effect.promise(() => worker.terminate())
              )
              const inverted = yield* Effect.callback<Spooled>((resume) => {
                worker.once("message", (result) => resume(Effect.succeed(result)))
                worker.once("error", (error) => resume(Effect.die(error)))
              })
              const back = yield* collect(read(inverted))
              assert.isTrue(Buffer.from(back.map((byte) => byte ^ 255)).equals(bytes))
            })
          )
        }
      })
  )

  it.live("on a full disk an append says so, keeps what it has, and can be repeated", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { read, writer } = yield* Spool
        // Every write to it fails with ENOSPC.
        const fd = yield* Effect.acquireRelease(
          Effect.sync(() => fs.openSync("/dev/full", "r+")),
          (fd) => Effect.sync(() => fs.closeSync(fd))
        )
        const full = writer({ fd, directory, memoryLimit: 300_000 })
        yield* full.append(recordBytes(300_000))
        for (const _ of [1, 2]) {
          const error = yield* Effect.flip(full.append(new Uint8Array(1)))
          assert.deepStrictEqual([error.operation, error.code, error.retryable], ["write", "ENOSPC", true])
          assert.strictEqual(
            error.message,
            `spool in ${directory}: write failed with ENOSPC: the disk is full: free space there, or set spool_directory to a directory on a larger disk`
          )
        }
        assert.isTrue((yield* collect(read(yield* full.finish))).equals(recordBytes(300_000)))
      })
    ).pipe(Effect.provide(layerWith(0)))
  )

  it.live("a place that was filled by less than was announced is an error, not a hang", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { read } = yield* Spool
        const spooled = yield* written(recordBytes(1_000))
        assert.strictEqual((yield* Effect.flip(collect(read({ ...spooled, size: 1_001 })))).code, "end of file")
      })
    ).pipe(Effect.provide(layerWith(0)))
  )

  it.live("a directory that is missing, or is a file, is said when the place is opened", () =>
    Effect.gen(function* () {
      for (const [path, code] of [
        ["/nowhere/at/all", "ENOENT"],
        [process.execPath, "ENOTDIR"]
      ] as const) {
        const open = Effect.flatMap(Spool, ({ open }) => open).pipe(
          Effect.provide(SpoolFile.layerWith({ directory: path, memoryLimit: 0 }))
        )
        assert.strictEqual(
          (yield* Effect.flip(Effect.scoped(open))).message,
          `spool in ${path}: open failed with ${code}: check that spool_directory exists and is writable by this user`
        )
      }
    })
  )

  it.live("opening and closing many places leaves no descriptor open", () =>
    Effect.gen(function* () {
      const { open } = yield* Spool
      const before = fs.readdirSync("/proc/self/fd").length
      yield* Effect.forEach(Array.from({ length: 200 }), () => Effect.scoped(Effect.andThen(open, Effect.yieldNow)), {
        concurrency: 20
      })
      assert.isAtMost(fs.readdirSync("/proc/self/fd").length, before + 2)
    }).pipe(Effect.provide(layerWith(0)))
  )
})
