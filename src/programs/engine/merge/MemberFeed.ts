/** Feeds a spooled snapshot to its reader: one decompressed chunk at a time, or a member to skip. */
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

/** Gives the next chunk to a pass, lets it skip a member, or tells it that the snapshot has ended. */
export type Feed = (pass: SnapshotPass) => Effect.Effect<void, EngineError>

/** Gives one item to a pass. Returns a member's content, to be released when the next item is asked for. */
const give = Effect.fnUntraced(function* (pass: SnapshotPass, item: MemberReader.Item) {
  if (item instanceof Uint8Array) return void pass.push(item)
  const { content, digest, known } = item
  if (known !== undefined && (yield* attempt(() => pass.skip(known)))) return
  const bytes = yield* content
  // This lets the reader decompress ahead. Without a turn of the event loop it would start only when all members that
  // were decompressed are used up.
  yield* Effect.yieldNow
  pass.pushMember(digest, bytes)
  return bytes
})

/** Begins at the first byte each time; what it takes is released with the scope. `known`: what may be skipped. */
export const open = Effect.fnUntraced(function* (
  request: MergeRequest,
  known: KnownMembersNow
): Effect.fn.Return<Feed, never, Compression | Spool | Scope.Scope> {
  const pull = yield* Stream.toPull(yield* MemberReader.make(request, known))
  // Arrays usually have one item, but that is not guaranteed.
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
