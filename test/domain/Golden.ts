/** The golden files, as the tests want them. */
import { NodeFileSystem } from "@effect/platform-node"
import { Effect, FileSystem } from "effect"
import * as Digest from "effect/crypto/Digest"
import { gunzipSync } from "node:zlib"

const folder = new URL("../golden/", import.meta.url).pathname

export const read = (path: string) =>
  Effect.provide(
    Effect.flatMap(FileSystem.FileSystem, (fs) => fs.readFile(folder + path)),
    NodeFileSystem.layer
  )

export const readJson = <A>(path: string): Effect.Effect<A> =>
  Effect.orDie(Effect.map(read(path), (bytes) => JSON.parse(Buffer.from(bytes).toString("utf8")) as A))

/** Of a file whose container is in order. */
export const readMessage = (path: string): Effect.Effect<Uint8Array> =>
  Effect.orDie(Effect.map(read(path), (bytes) => new Uint8Array(gunzipSync(bytes))))

export const sha256 = (bytes: Uint8Array): Effect.Effect<string> =>
  Digest.Digest.use((digest) => digest.digestHex(Digest.sha256, bytes)).pipe(Effect.provide(Digest.layerWebCrypto))

export interface GoldenDbi {
  readonly name?: string
  readonly nameHex?: string
  readonly flags: number
  readonly transform: string
  readonly entries: number
  readonly digest: string
  readonly maskedDigest?: string
}

export interface GoldenSnapshot {
  readonly name: string
  readonly path: string
  readonly kind: string
  readonly outcome: "ok" | "corrupt" | "refused"
  /** Absent where the container is broken. */
  readonly messageBytes?: number
  readonly messageSha256?: string
  readonly canonical?: boolean
  readonly formatVersion: number
  readonly compatVersion: number
  readonly meta?: Readonly<
    Record<
      "generationID" | "instanceID" | "hostname" | "databaseName" | "lmdbTxnID" | "timestampNano" | "fromLmdbTxnID",
      string
    >
  >
  readonly dbis: ReadonlyArray<GoldenDbi>
  readonly entriesFile?: string
  readonly merge: { readonly native: string; readonly shadow: string }
}

export const snapshots = Effect.map(
  readJson<{ readonly snapshots: ReadonlyArray<GoldenSnapshot> }>("manifest.json"),
  (manifest) => manifest.snapshots
)
