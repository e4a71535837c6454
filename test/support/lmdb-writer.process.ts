/**
 * A process that makes random changes to an environment without pauses, with the package `lmdb` itself. LmdbWriter.ts
 * starts it.
 */
import { open } from "lmdb"
import { kinds, type WriterOptions } from "./LmdbWriter.ts"

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

const flagged = (flags: number) => ({
  reverseKey: (flags & 0x02) !== 0,
  dupSort: (flags & 0x04) !== 0,
  keyIsUint32: (flags & 0x08) !== 0,
  dupFixed: (flags & 0x10) !== 0,
  integerDup: (flags & 0x20) !== 0,
  reverseDup: (flags & 0x40) !== 0
})

/**
 * Without `keyEncoding`, the package would set its own comparison function. The second handle takes integer keys as
 * bytes.
 */
const make = (name: string, flags: number): Anything => {
  env.openDB({ name, create: true, ...flagged(flags), ...binary })
  return env.openDB({ name, create: false, ...binary })
}

const integer = (value: number) => Buffer.from(Uint32Array.of(value).buffer)

const keyOf = (name: string): Buffer => {
  if (name === "integer") return integer(random(1_500) * 1_000)
  if (name === "large") return Buffer.from(`key ${random(30)}`)
  // There are few keys, which have many values.
  if (name.includes("duplicates") || name === "fixed") return Buffer.from(`key ${random(random(4) === 0 ? 200 : 4)}`)
  return Buffer.from("k".repeat(1 + random(30)) + random(30))
}

const valueOf = (name: string): Buffer => {
  if (name === "fixed" || name === "integer duplicates") return integer(random(3_000))
  if (name.includes("duplicates")) return Buffer.from(`value ${random(3_000)}`.padEnd(random(100), "-"))
  const size = name === "large" ? [100, 3_000, 9_000, 70_000][random(4)]! : 1 + random(200)
  return Buffer.alloc(size, random(3))
}

const change = (name: string, dbi: Anything): void => {
  const removes = random(100)
  const key = keyOf(name)
  if (removes >= 40) dbi.putSync(key, valueOf(name))
  else if (removes >= 10 && (kinds[name] ?? 0) & 0x04) dbi.removeSync(key, valueOf(name))
  else dbi.removeSync(key)
}

const own = `own ${seed}`
const dbis = new Map<string, Anything>(Object.entries(kinds).map(([name, flags]) => [name, make(name, flags)]))
dbis.set(own, make(own, 0))
process.send!("ready")

const names = [...dbis.keys()]
let left = transactions
const work = (): void => {
  for (const end = performance.now() + 20; performance.now() < end; left--) {
    if (left === 0) process.exit(0)
    env.transactionSync(() => {
      const operations = [1, 1, 2, 10, 100, 400][random(6)]!
      for (let i = 0; i < operations; i++) {
        const name = names[random(names.length)]!
        change(name, dbis.get(name))
      }
      if (random(60) === 0) dbis.get(names[random(names.length)]!).clearSync()
    })
    // No other process has a handle of this DBI, because their handles would become invalid.
    if (random(300) === 0) {
      dbis.get(own).dropSync()
      dbis.set(own, make(own, [0, 0x04][random(2)]!))
    }
  }
  // LMDB's lock is not fair. The pause gives other processes a chance to open the handles of new DBIs.
  // @effect-diagnostics-next-line globalTimers:off -- no Effect in here: it stands for somebody else's program
  setTimeout(work, 2)
}
work()
process.on("disconnect", () => process.exit(0))
