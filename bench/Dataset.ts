/**
 * Writes the LMDBs that are measured, and changes some of their entries. It runs in a separate process, because a
 * process opens a file only once.
 */
import * as Bare from "./BareLmdb.ts"
import { type DbiName, dbis, epochHigh, headerBytes, PdnsEntries, recordsPerDomain, timeSpan } from "./PdnsEntries.ts"

/**
 * Maximum number of puts in a transaction. The dirty pages of a transaction are in memory, so the entries are divided
 * among several transactions.
 */
const putsPerTransaction = 200_000

/** Calls `put` for each of `count` items, each of which makes `puts` puts. */
const inTransactions = (
  environment: Bare.Environment,
  count: number,
  puts: number,
  put: (item: number) => void
): void => {
  const items = Math.ceil(putsPerTransaction / puts)
  for (let start = 0; start < count; start += items) {
    const end = Math.min(count, start + items)
    environment.transactionSync(() => {
      for (let item = start; item < end; item++) put(item)
    })
  }
}

/** Puts an entry. `skipped` is the number of bytes that are omitted at the start of the value. */
const putEntry = (entries: PdnsEntries, dbi: Bare.Dbi, skipped: number): void => {
  Bare.toPut.keyTo = entries.keyTo
  Bare.toPut.value.start = entries.bytes.byteOffset + entries.valueFrom + skipped
  Bare.toPut.value.end = entries.bytes.byteOffset + entries.valueTo
  if (!dbi.putSync(0, 0, { append: true })) throw new Error("the generated keys are not in order")
}

/** PowerDNS's own settings, with keys and values of 4 bytes. */
const settings = [
  ["schemaversion", 5],
  ["shards", 1]
] as const

const putSettings = (environment: Bare.Environment, skipped: number): void => {
  const dbi = Bare.openDbi(environment, "pdns", true)
  const value = Buffer.alloc(28)
  Bare.putFrom(value.buffer)
  environment.transactionSync(() => {
    for (const [name, number] of settings) {
      value.writeUInt32BE(epochHigh, 0)
      value.writeUInt32BE(number, 24)
      Object.assign(Bare.toPut, { key: Buffer.from(name), keyFrom: 0, keyTo: name.length })
      Object.assign(Bare.toPut.value, { start: value.byteOffset + skipped, end: value.byteOffset + 28 })
      dbi.putSync(0, 0, { append: true })
    }
  })
}

/**
 * Writes an LMDB. With 0 `domains`, it has no DBIs. With `plain`, its values have no native headers, as those of an
 * application in shadow mode.
 */
export const write = (path: string, domains: number, seed: number, plain: boolean): void => {
  const environment = Bare.open(path)
  if (domains === 0) return
  const skipped = plain ? headerBytes : 0
  putSettings(environment, skipped)
  const entries = new PdnsEntries(domains, seed)
  Bare.putFrom(entries.bytes.buffer)
  Bare.toPut.key = entries.bytes
  Bare.toPut.keyFrom = 0
  const fill: Record<DbiName, (dbi: Bare.Dbi) => void> = {
    domains_v5: (dbi) =>
      inTransactions(environment, domains, 1, (domain) => {
        entries.domain(domain)
        putEntry(entries, dbi, skipped)
      }),
    domains_v5_0: (dbi) =>
      inTransactions(environment, domains, 1, (domain) => {
        entries.index(domain)
        putEntry(entries, dbi, skipped)
      }),
    records_v5: (dbi) =>
      inTransactions(environment, domains, recordsPerDomain, (domain) => {
        for (let n = 0; n < recordsPerDomain; n++) {
          entries.record(domain, n)
          putEntry(entries, dbi, skipped)
        }
      })
  }
  for (const name of dbis) fill[name](Bare.openDbi(environment, name, true))
}

/**
 * Gives `count` evenly distributed records a newer time and another value, in one transaction. Returns the number of
 * changed records.
 */
export const change = (path: string, domains: number, count: number): number => {
  const environment = Bare.open(path)
  const dbi = Bare.openDbi(environment, "records_v5")
  const { seen } = Bare
  const step = Math.max(1, Math.floor((domains * recordsPerDomain) / count))
  const picked: Array<{ readonly key: Buffer; readonly value: Buffer }> = []
  let index = 0
  for (const _ of dbi.getRange({ start: undefined })) {
    // Records are taken from the middle of each step, because a change of the first entry would be found unusually
    // early.
    if (index++ % step === step >> 1 && picked.length < count) {
      picked.push({
        key: Buffer.from(seen.key.subarray(Bare.keyStart, seen.keyEnd)),
        value: Buffer.from(seen.value.subarray(0, seen.valueEnd))
      })
    }
  }
  environment.transactionSync(() => {
    for (const { key, value } of picked) {
      value.writeUInt32BE(Math.max(value.readUInt32BE(0), epochHigh + 2 * timeSpan) + 1, 0)
      value[24] = value[24]! ^ 1
      Bare.putFrom(value.buffer as ArrayBuffer)
      Object.assign(Bare.toPut, { key, keyFrom: 0, keyTo: key.length })
      Object.assign(Bare.toPut.value, { start: value.byteOffset, end: value.byteOffset + value.length })
      dbi.putSync(0, 0, { append: false })
    }
  })
  return picked.length
}
