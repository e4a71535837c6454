/**
 * Reports the differences between two views of `LmdbMemory`. A committed table never changes, so two views that share a
 * table agree on its content.
 */
import { compareBytes } from "../../../domain/bytes/ByteOrder.ts"
import { compareKeys, orderOf } from "../../../domain/lmdb/KeyOrder.ts"
import type { ChangeSink, ChangeWalk } from "../../../services/Lmdb.ts"
import type { Table } from "./MemoryTable.ts"
import type { MemoryRead } from "./MemoryTransaction.ts"

const equal = (a: Uint8Array, b: Uint8Array): boolean => compareBytes(a, 0, a.length, b, 0, b.length) === 0

/** Returns the index of the first entry whose key differs from the key at `from`. */
const endOfKey = ({ keys }: Table, from: number): number => {
  let end = from + 1
  while (end < keys.length && equal(keys[end]!, keys[from]!)) end++
  return end
}

const haveSameValues = (before: Table, i: number, after: Table, j: number): boolean => {
  const count = endOfKey(before, i) - i
  if (count !== endOfKey(after, j) - j) return false
  for (let at = 0; at < count; at++) if (!equal(before.values[i + at]!, after.values[j + at]!)) return false
  return true
}

/** Number of entries between two reports of the share. */
const stepsPerReport = 256

/** Reports the changes of one DBI, until the sink skips the rest. */
const reportTable = (before: Table | undefined, after: Table, { compared, key }: ChangeSink): void => {
  const order = orderOf(after.flags)
  const count = before?.keys.length ?? 0
  let i = 0
  let j = 0
  for (let steps = 1; i < count || j < after.keys.length; steps++) {
    if (steps % stepsPerReport === 0 && compared?.((i + j) / (count + after.keys.length)) === false) return
    const left = before?.keys[i]
    const right = after.keys[j]
    const comparison =
      left === undefined
        ? 1
        : right === undefined
          ? -1
          : compareKeys(order, left, 0, left.length, right, 0, right.length)
    const isSame = comparison === 0 && before!.flags === after.flags && haveSameValues(before!, i, after, j)
    const changed = comparison < 0 ? left! : right!
    if (!isSame && !key(changed, 0, changed.length, comparison >= 0)) return
    if (comparison <= 0) i = endOfKey(before!, i)
    if (comparison >= 0) j = endOfKey(after, j)
  }
}

const report = (before: MemoryRead, after: MemoryRead, sink: ChangeSink): void => {
  for (const dbi of after.dbis) {
    const earlier = before.tables.get(dbi.name)
    const table = after.tables.get(dbi.name)!
    if (table !== earlier && sink.dbi(dbi)) reportTable(earlier, table, sink)
  }
}

/** Reports all changes at once, whatever the deadline is. */
export const changesOf = (before: MemoryRead, after: MemoryRead, sink: ChangeSink): ChangeWalk => {
  let isDone = false
  return {
    run: () => {
      if (!isDone) report(before, after, sink)
      isDone = true
      return true
    }
  }
}
