/**
 * Applications with native headers. One never writes a time that is at or before the one it finds at the key. In the
 * end everybody must hold what the model of last-write-wins holds.
 */
import { Effect } from "effect"
import * as DbiName from "../../src/domain/lmdb/DbiName.ts"
import { type Content, contentOf, put, shown } from "../support/fixtures/LastWriteWins.ts"
import { raw } from "../support/fixtures/Environments.ts"
import { nativeValue } from "../support/fixtures/Snapshots.ts"
import type { Applications, Fleet, Instance } from "./Simulation.ts"

const keys = ["a", "aa", "b", "c", "d"]
const values = ["", "x", "y", "xx"]

const write = Effect.fnUntraced(function* ({ choices, now }: Fleet, { environment, skew }: Instance, model: Content) {
  const local = contentOf(yield* Effect.provide(raw, environment.layer, { local: true }))
  const name = DbiName.fromText(choices.of(["d", "e"]))
  const dbi = local.get(name)
  // By the half second: so that instances tie.
  const clock = BigInt(Math.floor((now + skew) / 500)) * 500_000_000n
  const changes = keys
    .filter(() => choices.chance(0.4))
    .map((key) => {
      const before = dbi?.get(Buffer.from(key).toString("hex"))?.timestamp ?? -1n
      return {
        key,
        timestamp: clock > before ? clock : before + 1n,
        value: choices.chance(0.3) ? null : choices.of(values)
      }
    })
  yield* environment.application.write((transaction) => {
    if (!transaction.dbis().some((each) => each.name === name)) transaction.create(name, 0)
    for (const { key, timestamp, value } of changes) {
      const bytes = nativeValue(timestamp, value, Number(transaction.id))
      transaction.put(name, Buffer.from(key), 0, key.length, bytes, 0, bytes.length, false)
    }
  })
  if (!model.has(name)) model.set(name, new Map())
  for (const { key, timestamp, value } of changes) {
    put(model, name, Buffer.from(key).toString("hex"), {
      timestamp,
      deleted: value === null,
      value: Buffer.from(value ?? "").toString("hex")
    })
  }
})

export const make = (): Applications => {
  const model: Content = new Map()
  return {
    settings: {},
    write: (fleet, instance) => write(fleet, instance, model),
    ended: () => undefined,
    content: ({ environment }) => environment.content,
    expected: () => shown(model)
  }
}
