/** The golden LMDB files, opened as files and copied into memory. */
import { NodeFileSystem } from "@effect/platform-node"
import { Effect, FileSystem } from "effect"
import { gunzipSync } from "node:zlib"
import * as DbiName from "../../../src/domain/DbiName.ts"
import * as LmdbMemory from "../../../src/layers/LmdbMemory.ts"
import * as LmdbNative from "../../../src/layers/LmdbNative.ts"
import type { DatabaseOptions } from "../../../src/services/Database.ts"
import type { WriteTransaction } from "../../../src/services/Lmdb.ts"
import * as Golden from "../../domain/Golden.ts"
import { databaseOptions, lastId, nativeOptions, over, overNative, putRaw, raw } from "./Environments.ts"

export const temporaryFolder = Effect.orDie(
  Effect.provide(
    Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeTempDirectoryScoped()),
    NodeFileSystem.layer
  )
)

/** A copy of its own, in a folder of the scope. */
const unpack = Effect.fnUntraced(
  function* (path: string) {
    const fs = yield* FileSystem.FileSystem
    const file = `${yield* temporaryFolder}/data.mdb`
    yield* fs.writeFile(file, gunzipSync(yield* Golden.read(path)))
    return file
  },
  Effect.provide(NodeFileSystem.layer),
  Effect.orDie
)

export const native = (path: string, paddingBlock = false, options: Partial<DatabaseOptions> = {}) =>
  Effect.map(unpack(path), (file) => overNative(nativeOptions(file, { paddingBlock, ...options })))

const spare = DbiName.fromText("spare")

/** Makes the transaction one that LMDB records. */
const touch = (transaction: WriteTransaction): void => {
  transaction.create(spare, 0)
  transaction.drop(spare)
}

/** That many transactions that leave nothing. */
export const recorded = (application: LmdbMemory.Application, transactions: bigint) =>
  Effect.replicateEffect(application.write(touch), Number(transactions), { discard: true })

/** With the same content and the same last transaction id. */
export const memory = Effect.fnUntraced(function* (
  path: string,
  paddingBlock = false,
  options: Partial<DatabaseOptions> = {}
) {
  const { lmdb } = nativeOptions(yield* unpack(path))
  const { content, id } = yield* Effect.provide(Effect.all({ content: raw, id: lastId }), LmdbNative.layerWith(lmdb))
  const { application, layer } = LmdbMemory.makeMemoryEnvironment()
  yield* recorded(application, id - 1n)
  yield* application.write((transaction) => {
    touch(transaction)
    putRaw(content)(transaction)
  })
  return over(layer, databaseOptions({ paddingBlock, ...options }))
})

export const kinds = [
  { kind: "native", open: native },
  { kind: "memory", open: memory }
] as const
