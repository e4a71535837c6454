/** Handles of DBIs, where the transaction cannot be begun that opens them. */
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Open from "../../../../src/layers/lmdb/native/NativeOpen.ts"
import * as RootDbi from "../../../../src/layers/lmdb/native/RootDbi.ts"
import { LmdbError } from "../../../../src/services/Lmdb.ts"
import * as LmdbApplication from "../../../support/fakes/LmdbApplication.ts"
import { directory, optionsOf } from "../../../support/fakes/LmdbNativeSubject.ts"

const mapSize = 2 ** 20

const thrownBy = (use: () => void): unknown => {
  try {
    use()
  } catch (error) {
    return error
  }
  return undefined
}

describe("DbiHandles", () => {
  it.live("an application that makes DBIs and enlarges the map beyond ours ends with an error, not with a crash", () =>
    Effect.gen(function* () {
      const path = `${yield* directory}/lmdb`
      const environment = yield* Open.environment(optionsOf(path, { mapSize }))
      const small = yield* LmdbApplication.make({ path, mapSize })
      const names = ["a", "b", "c"]
      yield* small.write(...names.map((dbi) => ({ do: "create", dbi, flags: 0 }) as const))
      const view = environment.beginRead()
      const listing = RootDbi.list(environment.root, view.transaction, environment.toError)
      assert.deepStrictEqual(
        listing.records.map(({ name }) => String(name)),
        names
      )
      // The map is enlarged after a view has shown the DBIs, and before their handles are opened.
      const large = yield* LmdbApplication.make({ path, mapSize: 16 * mapSize })
      yield* large.write({ do: "fill", dbi: "a", entries: 20, bytes: mapSize / 10 })
      for (let times = 0; times < 3; times++) {
        const error = thrownBy(() => environment.handles.refresh(listing))
        if (!(error instanceof LmdbError)) return assert.fail(`refresh has thrown ${String(error)}`)
        assert.strictEqual(error.reason._tag, "MapResized")
      }
      assert.isUndefined(environment.handles.fit(listing), "no handle is kept")
      view.transaction.done()
      // The lock is free.
      yield* large.write({ do: "put", dbi: "b", key: "00", value: "00" })
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )
})
