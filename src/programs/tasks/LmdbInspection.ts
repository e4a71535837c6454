/** Collects the facts that `doctor` checks about an LMDB: its size and its DBIs. It changes nothing. */
import { Effect } from "effect"
import * as DbiName from "../../domain/lmdb/DbiName.ts"
import * as NativeHeader from "../../domain/lmdb/NativeHeader.ts"
import * as ShadowName from "../../domain/lmdb/ShadowName.ts"
import { hexOf } from "../../domain/bytes/Hex.ts"
import { type Dbi, Lmdb, type ReadTransaction } from "../../services/Lmdb.ts"
import type { Inspect, LmdbFacts, LmdbTaskResult } from "../../services/LmdbTask.ts"
import { attempt } from "../engine/Engine.ts"
import { checkNative, checkShadow } from "../engine/SyncedDbis.ts"
import type { OpenLmdb } from "./OpenLmdb.ts"

/**
 * Maximum number of values of a DBI whose headers are checked. An application without headers is detected by the first.
 */
const lookedMax = 1_000

/** Returns facts as the result of a task. An error becomes its text, with code 1. */
export const asResult = <A, E extends { readonly message: string }, R>(
  facts: Effect.Effect<A, E, R>
): Effect.Effect<LmdbTaskResult, never, R> =>
  facts.pipe(
    Effect.map((found) => ({ code: 0, text: JSON.stringify(found) })),
    Effect.catch((error) => Effect.succeed({ code: 1, text: error.message }))
  )

/** Checks the headers of the first values. Fails if keys are not in order. */
const lookAt = (transaction: ReadTransaction, { name }: Dbi) =>
  attempt(() => {
    const cursor = transaction.cursor(name)
    let looked = 0
    let headerProblem: string | undefined
    while (headerProblem === undefined && looked < lookedMax && cursor.next()) {
      const code = NativeHeader.readHeader(cursor.value, cursor.valueStart, cursor.valueEnd)
      looked++
      if (code < 0)
        headerProblem = `key 0x${hexOf(cursor.key, cursor.keyStart, cursor.keyEnd)}: ${NativeHeader.problemOf(code)}`
    }
    cursor.close()
    return { looked, ...(headerProblem === undefined ? {} : { headerProblem }) }
  }).pipe(Effect.catch(({ message }) => Effect.succeed({ looked: 0, problem: message })))

const factsOf = Effect.fnUntraced(function* ({ dupsortHack, target: { isNative } }: Inspect) {
  const lmdb = yield* Lmdb
  const { pageSize, used } = yield* lmdb.info
  const transaction = yield* lmdb.read
  const check = isNative ? checkNative : (dbi: Dbi) => checkShadow(dbi, dupsortHack)
  const dbis = yield* Effect.forEach(
    transaction.dbis.filter(({ name }) => !DbiName.isPrivate(name) || (!isNative && ShadowName.isShadow(name))),
    Effect.fnUntraced(function* (dbi) {
      const name = DbiName.display(dbi.name)
      const isShadow = ShadowName.isShadow(dbi.name)
      const problem = isShadow
        ? undefined
        : yield* attempt(() => check(dbi)).pipe(
            Effect.as(undefined),
            Effect.catch(({ message }) => Effect.succeed(message))
          )
      if (problem !== undefined) return { name, problem, looked: 0 }
      return isNative || isShadow ? { name, ...(yield* lookAt(transaction, dbi)) } : { name, looked: 0 }
    })
  )
  return { pageSize, used, dbis } satisfies LmdbFacts
}, Effect.scoped)

export const run = (task: Inspect, open: OpenLmdb): Effect.Effect<LmdbTaskResult> =>
  asResult(Effect.provide(factsOf(task), open(task.target.lmdb), { local: true }))
