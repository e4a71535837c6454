/**
 * Reads whole LMDBs with the package `lmdb` itself, in a separate process, to show the content as LMDB sees it.
 * LmdbReader.ts starts it.
 */
import { open } from "lmdb"
import type { ReadDbi, Reading } from "../fakes/LmdbReader.ts"

// The type declarations of the package are incomplete.
type Anything = any

const binary = { keyEncoding: "binary", encoding: "binary" } as const
const recordBytes = 48
const flagsAt = 4

const entriesOf = (dbi: Anything) =>
  Array.from(dbi.getRange({ start: undefined }), ({ key, value }: Anything) => ({
    key: key.toString("hex"),
    value: value.toString("hex")
  }))

/** The package opens DBIs by text, so DBIs with other names are omitted, and so are plain keys of the root. */
const read = (env: Anything): ReadonlyArray<ReadDbi> =>
  Array.from(env.getRange({ start: undefined }) as Iterable<{ readonly key: Buffer; readonly value: Buffer }>).flatMap(
    ({ key, value }) => {
      const name = key.toString()
      if (value.length !== recordBytes || !Buffer.from(name).equals(key)) return []
      return [
        { name, flags: value.readUInt16LE(flagsAt), entries: entriesOf(env.openDB({ name, create: false, ...binary })) }
      ]
    }
  )

// @effect-diagnostics-next-line asyncFunction:off -- no Effect in here: it stands for somebody else's program
process.on("message", async (path: string) => {
  const env: Anything = open({ path, noSubdir: true, readOnly: true, maxDbs: 256, ...binary })
  const dbis = read(env)
  await env.close()
  process.send!({ dbis } satisfies Reading)
})
process.on("disconnect", () => process.exit(0))
