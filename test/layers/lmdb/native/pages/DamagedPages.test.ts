/**
 * Each check of a page that is read past LMDB, by itself: one field of one page is damaged, and the comparison says
 * which page and what is wrong with it, instead of keys.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- the file is what is tested
import * as fs from "node:fs"
import * as DbiFlags from "../../../../../src/domain/lmdb/DbiFlags.ts"
import * as DbiName from "../../../../../src/domain/lmdb/DbiName.ts"
import * as LmdbNative from "../../../../../src/layers/lmdb/native/LmdbNative.ts"
import type { NativeRead } from "../../../../../src/layers/lmdb/native/NativeRead.ts"
import { Lmdb, type LmdbError, type WriteTransaction } from "../../../../../src/services/Lmdb.ts"
import { bytes, change, put } from "../../../../support/fakes/LmdbSubject.ts"
import { directory, optionsOf } from "../../../../support/fakes/LmdbNativeSubject.ts"
import { changesInFile, pageSize } from "./ChangesInFile.ts"

/** DBIs with the ways of storing values. Each has the key "k", whose values differ in the two views. */
const dbis = {
  keys: { flags: 0, values: 1 },
  large: { flags: 0, values: 1 },
  few: { flags: DbiFlags.DUPSORT, values: 5 },
  "few fixed": { flags: DbiFlags.DUPSORT | DbiFlags.DUPFIXED, values: 5 },
  many: { flags: DbiFlags.DUPSORT, values: 1_000 },
  "many fixed": { flags: DbiFlags.DUPSORT | DbiFlags.DUPFIXED, values: 1_000 }
} as const
type Name = keyof typeof dbis

const valueOf = (name: Name, i: number): string => (name === "large" ? "l".repeat(9_990) : "") + String(1e9 + i)

const fill = (transaction: WriteTransaction): void => {
  for (const [name, { flags, values }] of Object.entries(dbis)) {
    const dbi = DbiName.fromText(name)
    transaction.create(dbi, flags)
    for (let i = 0; i < values; i++) put(transaction, dbi, "k", valueOf(name as Name, i))
  }
  for (let i = 0; i < 500; i++) put(transaction, DbiName.fromText("keys"), `k${i}`, "v".repeat(50))
}

/** The number of values stays the same. */
const changeEach = (transaction: WriteTransaction): void => {
  for (const [name, { flags, values }] of Object.entries(dbis)) {
    const dbi = DbiName.fromText(name)
    const old = bytes(valueOf(name as Name, 0))
    if ((flags & DbiFlags.DUPSORT) !== 0) transaction.removePair(dbi, bytes("k"), 0, 1, old, 0, old.length)
    put(transaction, dbi, "k", valueOf(name as Name, values))
  }
}

/** The pages of the newer view, to be damaged. All results are offsets in the file. */
class Pages {
  readonly bytes: Buffer
  readonly #after: NativeRead

  constructor(file: Buffer, after: NativeRead) {
    this.bytes = Buffer.from(file)
    this.#after = after
  }

  root(name: Name): number {
    return this.#after.records.find((record) => record.name === name)!.tree.root * pageSize
  }

  /** The first leaf below a page. */
  leafBelow(page: number): number {
    if (this.bytes.readUInt16LE(page + 10) !== 1) return page
    return this.leafBelow(this.bytes.readUIntLE(this.node(page), 6) * pageSize)
  }

  leaf(name: Name): number {
    return this.leafBelow(this.root(name))
  }

  /** The first node of a page or sub-page. In a leaf, that is the node of the key "k". */
  node(page: number): number {
    return page + this.bytes.readUInt16LE(page + 16)
  }

  /** The data of the key "k": a sub-page, the record of a sub-database, or the number of an overflow page. */
  data(name: Name): number {
    const node = this.node(this.leaf(name))
    return node + 8 + this.bytes.readUInt16LE(node + 6)
  }

  /** The first leaf with the values of the key "k", which are in a sub-database. */
  valuesLeaf(name: Name): number {
    return this.leafBelow(Number(this.bytes.readBigUInt64LE(this.data(name) + 40)) * pageSize)
  }

  u16(offset: number, value: number): void {
    this.bytes.writeUInt16LE(value, offset)
  }

  u32(offset: number, value: number): void {
    this.bytes.writeUInt32LE(value, offset)
  }
}

/** What is damaged, in which DBI, and what is said of it. */
const damages: ReadonlyArray<readonly [string, Name, (pages: Pages) => void, RegExp]> = [
  ["the number of a page", "keys", (pages) => pages.u32(pages.leaf("keys"), 7), /page \d+ is no leaf page/],
  ["the type of a page", "keys", (pages) => pages.u16(pages.leaf("keys") + 10, 0x0a), /no leaf page \(flags 0xa\)/],
  ["the type of the root", "keys", (pages) => pages.u16(pages.root("keys") + 10, 2), /no branch page \(flags 0x2\)/],
  ["the lower bound, too small", "keys", (pages) => pages.u16(pages.leaf("keys") + 12, 14), /damaged header/],
  ["the lower bound, odd", "keys", (pages) => pages.u16(pages.leaf("keys") + 12, 19), /damaged header/],
  ["the lower bound, above the upper", "keys", (pages) => pages.u16(pages.leaf("keys") + 14, 16), /damaged header/],
  ["an offset of a node, too small", "keys", (pages) => pages.u16(pages.leaf("keys") + 16, 18), /offset of a node/],
  ["an offset of a node, too large", "keys", (pages) => pages.u16(pages.leaf("keys") + 16, 4_090), /offset of a node/],
  [
    "the size of a value",
    "keys",
    (pages) => pages.u32(pages.node(pages.leaf("keys")), pageSize),
    /has a damaged entry/
  ],
  ["the flags of a node", "keys", (pages) => pages.u16(pages.node(pages.leaf("keys")) + 4, 8), /has a damaged entry/],
  ["flags that exclude each other", "few", (pages) => pages.u16(pages.node(pages.leaf("few")) + 4, 5), /damaged entry/],
  [
    "the number of a child, beyond the file",
    "keys",
    (pages) => pages.u16(pages.node(pages.root("keys")) + 2, 0xffff),
    /page \d+ lies beyond the end of the file/
  ],
  [
    "the number of a child, beyond any file",
    "keys",
    (pages) => pages.bytes.fill(0xff, pages.node(pages.root("keys")), pages.node(pages.root("keys")) + 6),
    /page 281474976710655 lies beyond the end of the file/
  ],
  [
    "a branch page that names one child again and again",
    "keys",
    (pages) => {
      const root = pages.root("keys")
      const node = pages.bytes.readUInt16LE(root + 16)
      pages.u16(root + 12, node - 10)
      pages.u16(root + 14, node - 8)
      for (let at = 16; at < node - 10; at += 2) pages.u16(root + at, node)
    },
    /a tree has more than its \d+ pages/
  ],
  [
    "the number of an overflow page",
    "large",
    (pages) => pages.u32(pages.data("large"), 1),
    /page 1 is no overflow page/
  ],
  [
    "the type of an overflow page",
    "large",
    (pages) => pages.u16(pages.bytes.readUInt32LE(pages.data("large")) * pageSize + 10, 2),
    /page \d+ is no overflow page/
  ],
  ["the size of a sub-page", "few", (pages) => pages.u32(pages.node(pages.leaf("few")), 15), /shorter than its header/],
  [
    "the upper bound of a sub-page that consists of its header and ends with the page",
    "few",
    (pages) => {
      const leaf = pages.leaf("few")
      const node = pageSize - 8 - 1 - 16
      pages.bytes.copy(pages.bytes, leaf + node, pages.node(leaf), pages.node(leaf) + 9)
      pages.u16(leaf + 16, node)
      pages.bytes.fill(0, leaf + node + 9, leaf + pageSize)
      pages.u32(leaf + node, 16)
      pages.u16(leaf + node + 4, 4)
      pages.u16(leaf + node + 9 + 10, 0x42)
      pages.u16(leaf + node + 9 + 12, 18)
      pages.u16(leaf + node + 9 + 14, 18)
    },
    /a sub-page is damaged/
  ],
  ["the type of a sub-page", "few", (pages) => pages.u16(pages.data("few") + 10, 0x02), /a sub-page is damaged/],
  ["the count of a sub-page", "few", (pages) => pages.u16(pages.data("few") + 12, 4_000), /a sub-page is damaged/],
  ["a value of a sub-page", "few", (pages) => pages.u16(pages.node(pages.data("few")) + 6, 99), /a damaged value/],
  [
    "the size of the values of a sub-page, none",
    "few fixed",
    (pages) => pages.u16(pages.data("few fixed") + 8, 0),
    /a sub-page is damaged/
  ],
  [
    "the size of the values of a sub-page, too large",
    "few fixed",
    (pages) => pages.u16(pages.data("few fixed") + 8, 500),
    /a sub-page is damaged/
  ],
  [
    "the record of a sub-database",
    "many",
    (pages) => pages.u32(pages.node(pages.leaf("many")), 40),
    /record of a tree/
  ],
  ["the depth of a sub-database", "many", (pages) => pages.u16(pages.data("many") + 6, 33), /a tree has depth 33/],
  ["no depth of a sub-database", "many", (pages) => pages.u16(pages.data("many") + 6, 0), /a tree has depth 0/],
  [
    "the size of the values of a page, none",
    "many fixed",
    (pages) => pages.u16(pages.valuesLeaf("many fixed") + 8, 0),
    /page \d+ has a damaged header/
  ],
  [
    "the size of the values of a page, too large",
    "many fixed",
    (pages) => pages.u16(pages.valuesLeaf("many fixed") + 8, 3_000),
    /page \d+ has a damaged header/
  ]
]

/** Returns the keys of a DBI that differ according to a file, or why they are not known. */
const outcomeOf = (file: string, [before, after]: readonly [NativeRead, NativeRead], name: Name): string => {
  const keys: Array<string> = []
  const problem = changesInFile(file, before, after, {
    dbi: (dbi) => dbi.name === name,
    key: (key, start, end) => keys.push(Buffer.from(key.subarray(start, end)).toString()) < 9
  })
  return problem ?? `keys: ${keys.join()}`
}

describe("Pages read past LMDB", () => {
  it.live("one damaged field is found, and said", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const path = `${yield* directory}/lmdb`
        yield* Effect.gen(function* () {
          const { read } = yield* Lmdb
          yield* change(fill)
          const before = yield* read
          yield* change(changeEach)
          const views = [before as NativeRead, (yield* read) as NativeRead] as const
          const original = fs.readFileSync(path)
          for (const name of Object.keys(dbis) as Array<Name>)
            assert.strictEqual(outcomeOf(path, views, name), "keys: k", name)
          for (const [what, name, damage, expected] of damages) {
            const pages = new Pages(original, views[1])
            damage(pages)
            fs.writeFileSync(`${path}-damaged`, pages.bytes)
            assert.match(outcomeOf(`${path}-damaged`, views, name), expected, what)
          }
        }).pipe(Effect.scoped, Effect.provide(LmdbNative.layerWith(optionsOf(path, { mapSize: 2 ** 24 }))))
      })
    )
  )

  it.live("those of a file that has taken the place of the open one are not read", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const path = `${yield* directory}/lmdb`
        yield* Effect.gen(function* () {
          const { changes, read } = yield* Lmdb
          yield* change(fill)
          const before = yield* read
          yield* change(changeEach)
          const after = yield* read
          const find = Effect.scoped(changes(before, after, { dbi: () => true, key: () => true }))
          yield* find
          fs.copyFileSync(path, `${path}-copy`)
          fs.renameSync(`${path}-copy`, path)
          const error = yield* Effect.flip(find)
          assert.strictEqual((error as LmdbError).reason._tag, "Replaced")
        }).pipe(Effect.scoped, Effect.provide(LmdbNative.layerWith(optionsOf(path, { mapSize: 2 ** 24 }))))
      })
    )
  )
})
