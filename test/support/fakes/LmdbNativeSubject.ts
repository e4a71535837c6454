/** Creates real environments for tests, each at its own path, and their applications. */
import { Effect, Scope } from "effect"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- the files are what is tested
import * as fs from "node:fs"
import * as os from "node:os"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- as above
import * as path from "node:path"
import * as LmdbNative from "../../../src/layers/lmdb/native/LmdbNative.ts"
import type { LmdbOptions } from "../../../src/services/Lmdb.ts"
import * as LmdbApplication from "./LmdbApplication.ts"
import type { Subject } from "./LmdbSubject.ts"

export const directory = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "lmdb-"))),
  (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true }))
)

/** Options of an environment with a single file, which is created. */
export const optionsOf = (file: string, options: Partial<LmdbOptions> = {}): LmdbOptions => ({
  path: file,
  noSubdir: true,
  create: true,
  mapSize: 0,
  maxDbs: 64,
  dirMask: 0o775,
  fileMask: 0o664,
  ...options
})

/** The process of the application is started when it is first used. */
export const make = Effect.fnUntraced(function* ({ mapSize }: { readonly mapSize: number }) {
  const file = path.join(yield* directory, "lmdb")
  const scope = yield* Effect.scope
  const start = (mapSize: number) =>
    Effect.provideService(LmdbApplication.make({ path: file, mapSize }), Scope.Scope, scope)
  const application = yield* Effect.cached(start(mapSize))
  return {
    layer: LmdbNative.layerWith(optionsOf(file, { mapSize })),
    application: (...steps) => Effect.flatMap(application, ({ write }) => write(...steps)),
    replace: Effect.sync(() => {
      fs.copyFileSync(file, `${file}-new`)
      fs.renameSync(`${file}-new`, file)
    }),
    enlargeMap: Effect.flatMap(start(16 * mapSize), ({ write }) =>
      Effect.asVoid(
        write({ do: "create", dbi: "large", flags: 0 }, { do: "fill", dbi: "large", entries: 20, bytes: mapSize / 10 })
      )
    )
  } satisfies Subject
})
