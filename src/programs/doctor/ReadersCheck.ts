/** Checks LMDB's reader table: which processes have slots, and whether they are alive. */
import type { ReaderTable } from "../../services/LmdbTask.ts"
import { error, type Finding, ok, warning } from "./Finding.ts"

const check = "readers"

/** Used part of the table from which the finding is a warning. */
const nearlyFull = 0.8

type Slot = ReaderTable["readers"][number]

const listOf = (slots: ReadonlyArray<Slot>, last: bigint): string =>
  slots
    .map(({ pid, transactionId }) =>
      transactionId === undefined ? `${pid}` : `${pid} (${last - BigInt(transactionId)} transactions behind)`
    )
    .join(", ")

export const findings = ({ lastTransactionId, maxReaders, readers }: ReaderTable): ReadonlyArray<Finding> => {
  const last = BigInt(lastTransactionId)
  const alive = readers.filter(({ isAlive }) => isAlive)
  const dead = readers.filter(({ isAlive }) => !isAlive)
  const names = alive.length === 0 ? "" : `, by living processes ${listOf(alive, last)}`
  const what = `${readers.length} of ${maxReaders} slots are taken${names}`
  const table =
    readers.length >= maxReaders
      ? error(check, what, "no other process can read", "end some, or raise the application's number of readers")
      : readers.length >= nearlyFull * maxReaders
        ? warning(check, what, "when all are taken, no other process can read", "look whether that many should read")
        : ok(check, what)
  if (dead.length === 0) return [table]
  const gone = warning(
    check,
    `slots of dead processes: ${listOf(dead, last)}`,
    "until they are freed the file grows, since the pages that they saw are not used again",
    "nothing: opening the LMDB frees them, as this command has done, and the daemon does it once a minute"
  )
  return [table, gone]
}
