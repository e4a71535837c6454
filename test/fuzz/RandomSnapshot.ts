/** Snapshots and DBIs of applications, valid ones and others, with names, keys and values that meet each other. */
import * as DbiFlags from "../../src/domain/lmdb/DbiFlags.ts"
import * as DbiName from "../../src/domain/lmdb/DbiName.ts"
import { compareKeys, orderOf, plain } from "../../src/domain/lmdb/KeyOrder.ts"
import { dupsortTransform } from "../../src/domain/snapshot/SnapshotRules.ts"
import type { DecodedDbi, DecodedEntry, DecodedSnapshot } from "../support/fixtures/DecodedSnapshot.ts"
import { bytes, pairKey } from "../support/fixtures/ShadowEnvironments.ts"
import type { Dice } from "./Dice.ts"

const { DUPFIXED, DUPSORT, INTEGERDUP, INTEGERKEY, REVERSEDUP, REVERSEKEY } = DbiFlags

export type ModeName = "native" | "shadow" | "dupsort_hack"

export interface AppPair {
  readonly key: Buffer
  readonly value: Buffer
}

export interface AppDbi {
  readonly name: DbiName.DbiName
  readonly flags: number
  readonly pairs: ReadonlyArray<AppPair>
}

const nasty = [0, 1, 2, 4, 0x61, 0xff]

const names = ["a", "b", "c", "d"]

/** Flags of DBIs that an application may have in the mode: others end the daemon when it opens the LMDB. */
const supported: Readonly<Record<ModeName, ReadonlyArray<number>>> = {
  native: [0],
  shadow: [0, INTEGERKEY],
  dupsort_hack: [0, INTEGERKEY, DUPSORT, DUPSORT | DUPFIXED]
}

const allFlags = [
  0,
  REVERSEKEY,
  DUPSORT,
  INTEGERKEY,
  DUPFIXED,
  INTEGERDUP,
  REVERSEDUP,
  DUPSORT | DUPFIXED,
  DUPSORT | REVERSEDUP,
  DUPSORT | DUPFIXED | INTEGERDUP,
  DUPSORT | INTEGERKEY,
  DUPSORT | REVERSEKEY,
  0x7e
]

export const keyOf = (dice: Dice, flags: number, longest: number): Buffer => {
  if ((flags & INTEGERKEY) !== 0) {
    const key = Buffer.alloc(4)
    key.writeUInt32LE(dice.pick([0, 1, 2, 255, 256, 65_536, 0xffff_ffff]))
    return key
  }
  return dice.once(20) ? dice.bytes(longest, [0x61]) : dice.bytes(1 + dice.below(3), nasty)
}

const valueOf = (dice: Dice, flags: number): Buffer => {
  if ((flags & DUPFIXED) !== 0) return dice.bytes(4, nasty)
  if (dice.once(10)) return Buffer.alloc(0)
  if (dice.once(30)) return dice.bytes((flags & DUPSORT) !== 0 ? 511 : 6_000, [0x76])
  return dice.bytes(1 + dice.below(3), nasty)
}

const hex = (part: Uint8Array) => Buffer.from(part).toString("hex")

/** Can be in the shadow of dupsort_hack together: as in docs/sync.md. */
const isRepresentable = (pairs: ReadonlyArray<AppPair>): boolean => {
  const inShadow = pairs.toSorted((a, b) => Buffer.compare(shadowKeyOf(a), shadowKeyOf(b)))
  const inMain = pairs.toSorted((a, b) => Buffer.compare(a.key, b.key) || Buffer.compare(a.value, b.value))
  const isUnique = new Set(pairs.map((pair) => hex(shadowKeyOf(pair)))).size === pairs.length
  const isAlone = ({ key, value }: AppPair) =>
    value.length > 0 || pairs.filter((other) => other.key.equals(key)).length === 1
  return isUnique && inShadow.every((pair, i) => pair === inMain[i]) && pairs.every(isAlone)
}

export const shadowKeyOf = ({ key, value }: AppPair): Buffer =>
  bytes(pairKey(key.toString("latin1"), value.toString("latin1")))

/** DBIs that can be synced in that mode. */
export const application = (dice: Dice, mode: ModeName): ReadonlyArray<AppDbi> =>
  names.slice(0, dice.below(4)).map((name) => {
    const flags = dice.pick(supported[mode])
    const isPairs = DbiFlags.isDupsort(flags)
    const pairs: Array<AppPair> = []
    for (let left = dice.below(8); left > 0; left--) {
      const pair = { key: keyOf(dice, flags, isPairs ? 255 : 511), value: valueOf(dice, flags) }
      const isNew = isPairs ? isRepresentable([...pairs, pair]) : !pairs.some(({ key }) => key.equals(pair.key))
      if (isNew) pairs.push(pair)
    }
    return { name: DbiName.fromText(name), flags, pairs }
  })

const timestampOf = (dice: Dice, now: bigint): bigint =>
  dice.pick([0n, 1n, 2n, now - 1_000_000_000n, now, now + 3_600_000_000_000n, 2n ** 63n, 2n ** 64n - 1n])

const nameOf = (dice: Dice): DbiName.DbiName => {
  if (!dice.once(8)) return DbiName.fromText(dice.pick(names))
  return dice.pick([
    DbiName.fromText(""),
    DbiName.fromText("_sync_shadow_a"),
    DbiName.fromText("_sync_stale"),
    DbiName.fromText("n".repeat(dice.pick([498, 499, 511, 512]))),
    DbiName.fromText("n\0l"),
    DbiName.fromBytes(Buffer.from([0xff, 0xfe])),
    DbiName.fromText("plain")
  ])
}

const headOf = (dice: Dice, here: AppDbi | undefined, mode: ModeName) => {
  const flags = dice.once(6) ? dice.pick(allFlags) : (here?.flags ?? dice.pick(supported[mode]))
  const usual = DbiFlags.isDupsort(flags) ? dupsortTransform : ""
  return {
    flags: BigInt(flags) | (dice.once(40) ? 2n ** BigInt(dice.below(64)) : 0n),
    number: flags,
    transform: dice.once(20) ? dice.pick(["", dupsortTransform, "other"]) : usual
  }
}

const dbiOf = (dice: Dice, local: ReadonlyArray<AppDbi>, mode: ModeName, now: bigint): DecodedDbi => {
  const name = nameOf(dice)
  const here = local.find((dbi) => dbi.name === name)
  const { flags, number, transform } = headOf(dice, here, mode)
  const isPairs = transform !== ""
  const entries = new Map<string, DecodedEntry>()
  for (let left = dice.below(7); left > 0; left--) {
    const value = valueOf(dice, number)
    const isMet = here !== undefined && here.pairs.length > 0 && dice.once(2)
    const key = isMet ? dice.pick(here.pairs).key : keyOf(dice, number, isPairs ? 255 : 511)
    const deleted = dice.once(3)
    const isOdd = dice.once(60)
    const shadowKey = isPairs ? shadowKeyOf({ key, value: isOdd ? valueOf(dice, number) : value }) : key
    const kept = isOdd ? dice.bytes(dice.pick([0, 1, 3, 8, 511, 512]), nasty) : shadowKey
    entries.set(hex(kept), {
      key: hex(kept),
      value: deleted && dice.once(2) ? "" : hex(value),
      timestampNano: timestampOf(dice, now),
      flags: (deleted ? 1 : 0) | (dice.once(20) ? 0xfe : 0)
    })
  }
  const order = isPairs || DbiFlags.isDupsort(number) ? plain : orderOf(number)
  const sorted = Array.from(entries.values()).toSorted((a, b) => {
    const [x, y] = [Buffer.from(a.key, "hex"), Buffer.from(b.key, "hex")]
    return compareKeys(order, x, 0, x.length, y, 0, y.length)
  })
  return { name, flags, transform, entries: dice.once(60) ? sorted.toReversed() : sorted }
}

export const snapshot = (dice: Dice, local: ReadonlyArray<AppDbi>, mode: ModeName, now: bigint): DecodedSnapshot => ({
  formatVersion: dice.once(10) ? dice.below(6) : 3,
  compatVersion: dice.once(40) ? dice.below(6) : 1,
  meta: {
    generationID: "GX",
    instanceID: "b",
    hostname: "host-b",
    databaseName: "main",
    lmdbTxnID: 7n,
    timestampNano: now,
    fromLmdbTxnID: 0n
  },
  dbis: Array.from({ length: 1 + dice.below(3) }, () => dbiOf(dice, local, mode, now))
})
