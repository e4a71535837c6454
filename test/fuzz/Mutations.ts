/**
 * Mutations of snapshots: of the object's bytes, of the message in it, which is compressed again so that it reaches the
 * merge, and of the fields of the message.
 */
import { gunzipSync, gzipSync } from "node:zlib"
import * as DbiName from "../../src/domain/lmdb/DbiName.ts"
import { type DecodedDbi, type DecodedSnapshot, decode, encode } from "../support/fixtures/DecodedSnapshot.ts"
import type { Dice } from "./Dice.ts"

const flipped = (bytes: Buffer, dice: Dice): Buffer => {
  const copy = Buffer.from(bytes)
  for (let flips = 1 + dice.below(3); flips > 0 && copy.length > 0; flips--) {
    const at = dice.below(copy.length)
    copy[at] = copy[at]! ^ (1 << dice.below(8))
  }
  return copy
}

const doubled = (bytes: Buffer, dice: Dice): Buffer => {
  if (dice.once(2)) return Buffer.concat([bytes, bytes])
  const from = dice.below(bytes.length + 1)
  const to = from + dice.below(bytes.length - from + 1)
  return Buffer.concat([bytes.subarray(0, to), bytes.subarray(from)])
}

const cut = (bytes: Buffer, dice: Dice): Buffer => bytes.subarray(0, dice.below(bytes.length + 1))

const without = (bytes: Buffer, dice: Dice): Buffer => {
  const from = dice.below(bytes.length + 1)
  return Buffer.concat([bytes.subarray(0, from), bytes.subarray(from + dice.below(20))])
}

const ofBytes = [flipped, doubled, cut, without]

const half = (text: string, dice: Dice): string => text.slice(0, 2 * dice.below(text.length / 2 + 1))

const ofDbi = (dbi: DecodedDbi, dice: Dice): DecodedDbi => {
  switch (dice.below(5)) {
    case 0:
      return { ...dbi, flags: dbi.flags ^ (1n << BigInt(dice.below(9))) }
    case 1:
      return { ...dbi, transform: dice.pick(["", "dupsort_hack_v1", "unknown"]) }
    case 2:
      return { ...dbi, name: DbiName.fromText(dice.pick(["", "other", "_sync_x", "n\0", "n".repeat(512), "good"])) }
    case 3:
      return { ...dbi, entries: dice.once(2) ? dbi.entries.toReversed() : [...dbi.entries, ...dbi.entries] }
    default: {
      const changed = dice.below(dbi.entries.length || 1)
      const entries = dbi.entries.map((entry, i) => {
        if (i !== changed) return entry
        return dice.pick([
          { ...entry, key: half(entry.key, dice) },
          { ...entry, key: entry.key + "00".repeat(dice.below(600)) },
          { ...entry, value: half(entry.value, dice) },
          { ...entry, timestampNano: dice.pick([0n, 2n ** 64n - 1n]) },
          { ...entry, flags: dice.pick([0, 1, 0xff]) }
        ])
      })
      return { ...dbi, entries }
    }
  }
}

const ofFields = (snapshot: DecodedSnapshot, dice: Dice): DecodedSnapshot => {
  if (dice.once(10)) return { ...snapshot, formatVersion: dice.below(6), compatVersion: dice.below(6) }
  if (dice.once(10)) return { ...snapshot, dbis: [...snapshot.dbis, ...snapshot.dbis] }
  const changed = dice.below(snapshot.dbis.length || 1)
  return { ...snapshot, dbis: snapshot.dbis.map((dbi, i) => (i === changed ? ofDbi(dbi, dice) : dbi)) }
}

/** Undefined where the mutation cannot be made: the container or the message is broken already. */
const within = (object: Buffer, change: (message: Buffer) => Uint8Array): Buffer | undefined => {
  try {
    return gzipSync(change(gunzipSync(object)), { level: 1 })
  } catch {
    return undefined
  }
}

export const mutated = (object: Buffer, dice: Dice): Buffer => {
  const bytes = dice.pick(ofBytes)
  const kind = dice.below(5)
  if (kind === 0) return bytes(object, dice)
  const change =
    kind < 3 ? (message: Buffer) => bytes(message, dice) : (message: Buffer) => encode(ofFields(decode(message), dice))
  return within(object, change) ?? bytes(object, dice)
}
