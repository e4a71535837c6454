/**
 * Slots of readers with this process's id, where no other process can open the LMDB to free them. That one frees them:
 * test/main/minimum-pid.test.ts.
 */
import { assert, it } from "@effect/vitest"
import { free } from "../../../../src/layers/lmdb/native/OwnReaderSlots.ts"

const path = "/dev/null/main.lmdb"

const environment = (identity: string, ownSlots: number) => ({
  identity,
  path,
  ownSlots: () => ownSlots,
  root: { env: { info: () => ({ mapSize: 2 ** 20 }) } }
})

const options = { path, noSubdir: true, mapSize: 2 ** 20, maxDbs: 8, create: true, fileMask: 0o600, dirMask: 0o700 }

it("says why they could not be freed, once: an environment that was opened before has slots of its own", () => {
  const { count, warning } = free(environment("one", 2), options)
  assert.strictEqual(count, 0)
  assert.match(
    warning ?? "",
    /dev\/null\/main\.lmdb: 2 slots for readers .* could not open it: Error: .*\. Tried again at the next start$/
  )
  assert.deepStrictEqual(free(environment("one", 2), options), { count: 0 })
})

it("starts no other process where there are none", () => {
  assert.deepStrictEqual(free(environment("two", 0), options), { count: 0 })
})
