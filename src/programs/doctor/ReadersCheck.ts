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
      ? error(
          check,
          what,
          "no other process can read",
          "end some of them, or raise the maximum number of readers of the application"
        )
      : readers.length >= nearlyFull * maxReaders
        ? warning(
            check,
            what,
            "when all slots are taken, no other process can read",
            "check whether that many readers are intended"
          )
        : ok(check, what)
  if (dead.length === 0) return [table]
  const gone = warning(
    check,
    `slots of dead processes: ${listOf(dead, last)}`,
    "the file grows until they are freed, because the pages that they refer to cannot be reused",
    "nothing needs to be done: this command has freed them by opening the LMDB, and the daemon does so once a minute"
  )
  return [table, gone]
}
