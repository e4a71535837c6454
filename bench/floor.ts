/**
 * `node bench/floor.ts KIND FILE …`: the simplest code for the work that cannot be avoided, in a separate process. The
 * data that it needs are in memory before the clock starts.
 *
 *     walk LMDB [PREFIX]      reads every entry of every DBI (whose name begins with PREFIX), in place
 *     deflate SNAPSHOT        compresses the uncompressed bytes with zlib level 1, in one stream
 *     gunzip SNAPSHOT         decompresses in chunks of 256 KiB
 *     put LMDB EMPTY PUTS     appends the entries of LMDB to EMPTY, PUTS in a transaction (0: all in one)
 *     commit LMDB             makes one put and commits it
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Effect } from "effect"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- the plainest code reads a file by itself
import * as fs from "node:fs"
import * as zlib from "node:zlib"
import * as Bare from "./BareLmdb.ts"
import * as PutFloor from "./PutFloor.ts"
import type { FloorResult } from "./Results.ts"

const chunkBytes = 256 * 1024

const millisSince = (begin: number): number => performance.now() - begin

const walk = (path: string, prefix = ""): FloorResult => {
  const environment = Bare.open(path)
  const dbis = Bare.dbiNames(environment)
    .filter((name) => name.startsWith(prefix))
    .map((name) => Bare.openDbi(environment, name))
  const begin = performance.now()
  let amount = 0
  for (const dbi of dbis) {
    for (const _ of dbi.getRange({ start: undefined })) amount++
  }
  return { millis: millisSince(begin), amount, longestCommitMillis: 0 }
}

/** Passes the chunks to a stream, each one when the previous one is done, and calls `take` with the output. */
const through = (stream: zlib.Gzip | zlib.Gunzip, chunks: ReadonlyArray<Buffer>, take: (chunk: Buffer) => void) =>
  Effect.callback<void>((resume) => {
    stream.on("data", take)
    stream.on("end", () => resume(Effect.void))
    stream.on("error", (error) => resume(Effect.die(error)))
    let index = 0
    const feed = () => {
      if (index < chunks.length) stream.write(chunks[index++]!, feed)
      else stream.end()
    }
    feed()
  })

const chunksOf = (path: string): ReadonlyArray<Buffer> => {
  const bytes = fs.readFileSync(path)
  return Array.from({ length: Math.ceil(bytes.length / chunkBytes) }, (_, i) =>
    bytes.subarray(i * chunkBytes, (i + 1) * chunkBytes)
  )
}

const gunzip = Effect.fnUntraced(function* (path: string) {
  const chunks = chunksOf(path)
  const begin = performance.now()
  let amount = 0
  yield* through(zlib.createGunzip({ chunkSize: chunkBytes }), chunks, (chunk) => void (amount += chunk.length))
  return { millis: millisSince(begin), amount, longestCommitMillis: 0 } satisfies FloorResult
})

const deflate = Effect.fnUntraced(function* (path: string) {
  const chunks: Array<Buffer> = []
  yield* through(zlib.createGunzip({ chunkSize: chunkBytes }), chunksOf(path), (chunk) => void chunks.push(chunk))
  const begin = performance.now()
  let amount = 0
  yield* through(zlib.createGzip({ level: 1, chunkSize: chunkBytes }), chunks, (chunk) => void (amount += chunk.length))
  return { millis: millisSince(begin), amount, longestCommitMillis: 0 } satisfies FloorResult
})

const commit = (path: string): FloorResult => {
  const environment = Bare.open(path)
  const dbi = Bare.openDbi(environment, "bench-commit", true)
  const value = Buffer.alloc(64)
  Bare.putFrom(value.buffer)
  Object.assign(Bare.toPut, { key: Buffer.from("key"), keyFrom: 0, keyTo: 3 })
  Object.assign(Bare.toPut.value, { start: value.byteOffset, end: value.byteOffset + value.length })
  const begin = performance.now()
  environment.transactionSync(() => void dbi.putSync(0, 0, { append: false }))
  const millis = millisSince(begin)
  return { millis, amount: 1, longestCommitMillis: millis }
}

const [kind, path, second, third] = process.argv.slice(2) as [string, string, string | undefined, string | undefined]

const kinds: Record<string, () => Effect.Effect<FloorResult>> = {
  walk: () => Effect.sync(() => walk(path, second)),
  deflate: () => deflate(path),
  gunzip: () => gunzip(path),
  put: () => Effect.sync(() => PutFloor.put(path, second!, Number(third))),
  commit: () => Effect.sync(() => commit(path))
}

Effect.flatMap(
  Effect.suspend(() => kinds[kind]!()),
  (result) => Console.log(JSON.stringify(result))
).pipe(NodeRuntime.runMain)
