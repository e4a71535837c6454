/** Feeds a snapshot from the spool, decompressed, to whoever reads it: one chunk each time, or a member to skip. */
import { Effect, type Scope, Stream } from "effect"
import * as Pull from "effect/Pull"
import { releaseBuffer } from "../../../domain/bytes/ReleaseBuffer.ts"
import type { Compression } from "../../../services/Compression.ts"
import type { MergeRequest } from "../../../services/Database.ts"
import type { Spool } from "../../../services/Spool.ts"
import { attempt, type EngineError } from "../Engine.ts"
import type { KnownMembersNow } from "./KnownMembers.ts"
import * as MemberReader from "./MemberReader.ts"
import type { SnapshotPass } from "./SnapshotPass.ts"

/** Gives it the next chunk, or lets it skip one, or tells it that there is none. */
export type Feed = (pass: SnapshotPass) => Effect.Effect<void, EngineError>

/** Returns a member's content: nobody else's, and read when the next item is asked for. */
const give = Effect.fnUntraced(function* (pass: SnapshotPass, item: MemberReader.Item) {
  if (item instanceof Uint8Array) return void pass.push(item)
  const { content, digest, known } = item
  if (known !== undefined && (yield* attempt(() => pass.skip(known)))) return
  const bytes = yield* content
  // The source makes others meanwhile: without a turn of the event loop it would only begin when all that were made are
  // used up.
  yield* Effect.yieldNow
  pass.pushMember(digest, bytes)
  return bytes
})

/** Begins at the first byte each time; what it takes is let go with the scope. `known`: what may be skipped. */
export const open = Effect.fnUntraced(function* (
  request: MergeRequest,
  known: KnownMembersNow
): Effect.fn.Return<Feed, never, Compression | Spool | Scope.Scope> {
  const pull = yield* Stream.toPull(yield* MemberReader.make(request, known))
  // Arrays of one are the rule, but not promised.
  let items: ReadonlyArray<MemberReader.Item> = []
  let next = 0
  let given: Uint8Array<ArrayBuffer> | undefined
  const feed: Feed = (pass) => {
    if (given !== undefined) releaseBuffer(given)
    given = undefined
    const item = items[next++]
    if (item !== undefined) return Effect.map(give(pass, item), (content) => void (given = content))
    return Pull.matchEffect(pull, {
      onSuccess: (more) => {
        items = more
        next = 0
        return feed(pass)
      },
      onFailure: Effect.failCause,
      onDone: () => Effect.sync(() => pass.finish())
    })
  }
  return feed
})
