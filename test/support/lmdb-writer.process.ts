/**
 * A process that makes random changes to an environment without pauses, with the package `lmdb` itself. LmdbWriter.ts
 * starts it.
 */
import { open } from "lmdb"
import * as DbiFlags from "../../src/domain/lmdb/DbiFlags.ts"
import { packageFlags } from "./processes/PackageFlags.ts"
import { generationKey, kinds, ownName, type WriterOptions } from "./LmdbWriter.ts"

// The type declarations of the package are incomplete.
type Anything = any

const { path, mapSize, seed, transactions = Infinity, useWritemap }: WriterOptions = JSON.parse(process.argv[2]!)

const binary = { keyEncoding: "binary", encoding: "binary" } as const

const env: Anything = open({
  path,
  noSubdir: true,
  mapSize,
  maxDbs: 64,
  ...binary,
  overlappingSync: false,
  noSync: true,
  useWritemap
})

let state = seed
/** Returns a random integer from 0 to `below` - 1 (mulberry32). */
const random = (below: number): number => {
  state = (state + 0x6d2b79f5) | 0
  let t = Math.imul(state ^ (state >>> 15), 1 | state)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) % below
}

/**
 * Without `keyEncoding`, the package would set its own comparison function. The second handle takes integer keys as
 * bytes.
 */
const make = (name: string, flags: number): Anything => {
  env.openDB({ name, create: true, ...packageFlags(flags), ...binary })
  return env.openDB({ name, create: false, ...binary })
}

const integer = (value: number) => Buffer.from(Uint32Array.of(value).buffer)

const isDupsort = (name: string) => DbiFlags.isDupsort(kinds[name] ?? 0)

/** In DBIs with several values per key, few keys have most of the values, and others have a few. */
const numberOfKey = (name: string): number => (isDupsort(name) ? random(random(4) === 0 ? 200 : 4) : random(1_500))

const keyOf = (name: string): Buffer => {
  if (((kinds[name] ?? 0) & DbiFlags.INTEGERKEY) !== 0) return integer(numberOfKey(name) * 1_000)
  if (name === "large") return Buffer.from(`key ${random(30)}`)
  if (isDupsort(name)) return Buffer.from(`key ${numberOfKey(name)}`)
  return Buffer.from("k".repeat(1 + random(30)) + random(30))
}

const valueOf = (name: string): Buffer => {
  const flags = kinds[name] ?? 0
  if ((flags & DbiFlags.INTEGERDUP) !== 0) return integer(random(3_000))
  // A few hundred of them do not fit into a sub-page, even if a page has 32 KiB.
  if ((flags & DbiFlags.DUPFIXED) !== 0) return Buffer.from(`value ${random(3_000)}`.padEnd(40, "-"))
  if (isDupsort(name)) return Buffer.from(`value ${random(3_000)}`.padEnd(random(100), "-"))
  const size = name === "large" ? [100, 3_000, 9_000, 70_000][random(4)]! : 1 + random(200)
  const value = Buffer.alloc(size, random(3))
  // Large values often differ in one byte, in any of their pages.
  value[random(size)] = random(256)
  return value
}

/** A key of this writer alone, whose values are replaced one by one, so that their number stays the same. */
interface Queue {
  readonly name: string
  readonly key: Buffer
  /** Number of values: they fit into a sub-page, or they do not. */
  readonly length: number
  /** Number of the oldest value. */
  first: number
}

const queues: ReadonlyArray<Queue> = Object.keys(kinds)
  .filter(isDupsort)
  .flatMap((name) =>
    [5, 500].map((length) => {
      const isInteger = ((kinds[name] ?? 0) & DbiFlags.INTEGERKEY) !== 0
      const key = isInteger ? integer(3e9 + 1_000 * (seed % 1_000) + length) : Buffer.from(`queue ${seed} ${length}`)
      return { name, key, length, first: 0 }
    })
  )

const queuedValue = (name: string, i: number): Buffer => {
  const flags = kinds[name] ?? 0
  if ((flags & DbiFlags.INTEGERDUP) !== 0) return integer(1e6 + i)
  const text = `queued ${i}`
  return Buffer.from((flags & DbiFlags.DUPFIXED) === 0 ? text : text.padEnd(40, "-"))
}

/** Replaces the oldest value by a new one. Fills the queue first if somebody has cleared its DBI. */
const moveOn = (queue: Queue, dbi: Anything): void => {
  const { key, length, name } = queue
  if (dbi.getValuesCount(key) !== length) {
    for (let i = 0; i < length; i++) dbi.putSync(key, queuedValue(name, queue.first + i))
  }
  dbi.removeSync(key, queuedValue(name, queue.first))
  dbi.putSync(key, queuedValue(name, queue.first + length))
  queue.first++
}

const change = (name: string, dbi: Anything): void => {
  const choice = random(1_000)
  const key = keyOf(name)
  if (choice >= 400) dbi.putSync(key, valueOf(name))
  else if (!isDupsort(name)) dbi.removeSync(key)
  // All values of a key are seldom removed at once, so that there can be many of them.
  else if (choice > 0) dbi.removeSync(key, valueOf(name))
  else dbi.removeSync(key)
}

const dbis = new Map<string, Anything>(Object.entries(kinds).map(([name, flags]) => [name, make(name, flags)]))

/** The DBI of this writer. No other process has a handle of it, because their handles would become invalid. */
const own = ownName(seed)
let generation = 0

const createOwn = (flags: number): void => {
  const dbi = make(own, flags)
  dbi.putSync(generationKey, Buffer.from(String(++generation)))
  // The same bytes mean something else if the flags have changed.
  dbi.putSync(Buffer.from("same"), Buffer.from("same"))
  dbis.set(own, dbi)
}

const dropOwn = (): void => {
  dbis.get(own).dropSync()
  dbis.delete(own)
}

/** What happens to the DBI of this writer, one after the other. It is changed as well while it exists. */
const lifeOfOwn: ReadonlyArray<() => void> = [
  () => createOwn(0),
  () => {
    dbis.get(own).clearSync()
    dbis.delete(own)
  },
  () => createOwn(0),
  () => {
    dropOwn()
    createOwn(0)
  },
  () => {
    dropOwn()
    createOwn(DbiFlags.DUPSORT)
  },
  dropOwn
]

/** Number of transactions between two events in the life of the DBI. */
const transactionsPerEvent = 100

let done = 0
const transact = (): void => {
  if (done % transactionsPerEvent === 0) lifeOfOwn[(done / transactionsPerEvent) % lifeOfOwn.length]!()
  done++
  const names = [...dbis.keys()]
  env.transactionSync(() => {
    const operations = [1, 1, 2, 10, 100, 400][random(6)]!
    for (let i = 0; i < operations; i++) {
      const name = names[random(names.length)]!
      change(name, dbis.get(name))
    }
    const queue = queues[random(queues.length)]!
    moveOn(queue, dbis.get(queue.name))
    const name = names[random(names.length)]!
    if (name !== own && random(60) === 0) dbis.get(name).clearSync()
  })
}

transact()
process.send!("ready")

const work = (): void => {
  for (const end = performance.now() + 20; performance.now() < end;) {
    if (done >= transactions) process.exit(0)
    transact()
  }
  // LMDB's lock is not fair. The pause gives other processes a chance to open the handles of new DBIs.
  // @effect-diagnostics-next-line globalTimers:off -- no Effect in here: it stands for somebody else's program
  setTimeout(work, 2)
}
work()
process.on("disconnect", () => process.exit(0))
