/**
 * Applications with native headers. An application never writes a time that is not later than the existing one of the
 * key. At the end, all instances must have the content of the last-write-wins model.
 */
import { Effect } from "effect"
import * as DbiName from "../../src/domain/lmdb/DbiName.ts"
import { type Content, contentOf, put, shown } from "../support/fixtures/LastWriteWins.ts"
import { raw } from "../support/fixtures/Environments.ts"
import { nativeValue } from "../support/fixtures/Snapshots.ts"
import type { WriteTransaction } from "../../src/services/Lmdb.ts"
import { Choices } from "./Choices.ts"
import type { Applications, Fleet, Instance } from "./Simulation.ts"

const keys = ["a", "aa", "b", "c", "d"]
const values = ["", "x", "y", "xx"]

const write = Effect.fnUntraced(function* ({ choices, now }: Fleet, { environment, skew }: Instance, model: Content) {
  const local = contentOf(yield* Effect.provide(raw, environment.layer, { local: true }))
  const name = DbiName.fromText(choices.of(["d", "e"]))
  const dbi = local.get(name)
  // The clock is rounded to half seconds, so that instances write equal times.
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

/**
 * Entries that all instances have from the start and never change, so that deltas are small compared with full
 * snapshots.
 */
const ballast = () => {
  const choices = new Choices(1)
  return Array.from({ length: 80 }, (_, i) => [`ballast${i}`, String(choices.next())] as const)
}

const putBallast = (transaction: WriteTransaction): void => {
  const name = DbiName.fromText("ballast")
  transaction.create(name, 0)
  for (const [key, value] of ballast()) {
    const bytes = nativeValue(1n, value)
    transaction.put(name, Buffer.from(key), 0, key.length, bytes, 0, bytes.length, false)
  }
}

/** Creates applications that start with more entries than they change. */
export const makeLarge = (): Applications => {
  const model: Content = new Map([[DbiName.fromText("ballast"), new Map()]])
  for (const [key, value] of ballast())
    put(model, DbiName.fromText("ballast"), Buffer.from(key).toString("hex"), {
      timestamp: 1n,
      deleted: false,
      value: Buffer.from(value).toString("hex")
    })
  return { ...make(model), prepare: ({ application }) => application.write(putBallast) }
}

export const make = (model: Content = new Map()): Applications => {
  return {
    settings: {},
    write: (fleet, instance) => write(fleet, instance, model),
    ended: () => undefined,
    content: ({ environment }) => environment.content,
    expected: () => shown(model)
  }
}
