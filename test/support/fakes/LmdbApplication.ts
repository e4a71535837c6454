/** Starts lmdb-application.process.ts, and communicates with it. It is killed when the scope closes. */
import { Effect, Queue, Schema } from "effect"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- a process with a channel for messages
import { fork } from "node:child_process"
import * as DbiName from "../../../src/domain/lmdb/DbiName.ts"
import type { WriteTransaction } from "../../../src/services/Lmdb.ts"

export interface Opening {
  readonly path: string
  readonly mapSize: number
  readonly maxReaders?: number
}

/** A step of a write transaction. Bytes are hexadecimal. */
export type Step =
  | { readonly do: "create"; readonly dbi: string; readonly flags: number }
  | { readonly do: "put"; readonly dbi: string; readonly key: string; readonly value: string }
  | { readonly do: "remove"; readonly dbi: string; readonly key: string }
  | { readonly do: "drop"; readonly dbi: string }
  | { readonly do: "fill"; readonly dbi: string; readonly entries: number; readonly bytes: number }
  | { readonly do: "root"; readonly key: string; readonly value: string }

export type Command =
  | { readonly do: "write"; readonly steps: ReadonlyArray<Step> }
  /** Holds the write lock until `letGo`. Replies when it has the lock. */
  | { readonly do: "hold" }
  | { readonly do: "letGo" }
  /** Holds the write lock for a time. Replies twice: when it has the lock, and when it has committed. */
  | { readonly do: "holdFor"; readonly millis: number; readonly steps?: ReadonlyArray<Step> }
  | { readonly do: "count"; readonly dbi: string; readonly millis: number }
  /** Begins a read transaction that never ends. */
  | { readonly do: "view" }
  | { readonly do: "list"; readonly dbi: string }
  /** Copies the environment as `mdb_copy -c` does. */
  | { readonly do: "compact"; readonly to: string }

export interface Reply {
  readonly id: string
  readonly entries: ReadonlyArray<readonly [string, string]>
  readonly error?: string
}

export class ApplicationFailed extends Schema.TaggedError<ApplicationFailed>()("ApplicationFailed", {
  detail: Schema.String
}) {}

export const make = Effect.fnUntraced(function* (opening: Opening) {
  const replies = yield* Queue.unbounded<Reply>()
  const child = yield* Effect.acquireRelease(
    Effect.sync(() =>
      fork(new URL("../processes/lmdb-application.process.ts", import.meta.url), [JSON.stringify(opening)], {
        execPath: process.execPath,
        execArgv: []
      })
    ),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )
  child.on("message", (reply: Reply) => Queue.offerUnsafe(replies, reply))
  child.on("exit", () => Queue.offerUnsafe(replies, { id: "", entries: [], error: "the application has ended" }))
  const next = Effect.filterOrFail(
    Queue.take(replies),
    (reply) => reply.error === undefined,
    ({ error }) => new ApplicationFailed({ detail: String(error) })
  )
  yield* next
  const send = (command: Command) =>
    Effect.andThen(
      Effect.sync(() => child.send(command)),
      next
    )
  return {
    send,
    /** Waits for the next reply of a command that replies twice. */
    next,
    write: (...steps: ReadonlyArray<Step>) => Effect.map(send({ do: "write", steps }), ({ id }) => BigInt(id)),
    kill: Effect.sync(() => child.kill("SIGKILL")).pipe(Effect.andThen(Effect.flip(next)))
  }
})

const bytes = (hex: string) => Buffer.from(hex, "hex")

/** Applies a step in this process, for the layer that no other process can use. */
export const take =
  (transaction: WriteTransaction) =>
  (step: Step): void => {
    if (step.do === "root") throw new Error("there is no root")
    const dbi = DbiName.fromText(step.dbi)
    if (step.do === "create") transaction.create(dbi, step.flags)
    else if (step.do === "drop") transaction.drop(dbi)
    else if (step.do === "remove") transaction.remove(dbi, bytes(step.key), 0, step.key.length / 2)
    else if (step.do === "put")
      transaction.put(dbi, bytes(step.key), 0, step.key.length / 2, bytes(step.value), 0, step.value.length / 2, false)
    else {
      for (let i = 0; i < step.entries; i++) {
        transaction.put(
          dbi,
          Buffer.from(String(i).padStart(8, "0")),
          0,
          8,
          Buffer.alloc(step.bytes, i),
          0,
          step.bytes,
          false
        )
      }
    }
  }
