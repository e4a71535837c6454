/** Feeds a spooled snapshot to its reader: one decompressed chunk at a time, or a member to skip. */
import { Effect, type Scope, Stream } from "effect"
import * as Pull from "effect/Pull"
import { releaseBuffer } from "../../../domain/bytes/ReleaseBuffer.ts"
import type { Compression } from "../../../services/Compression.ts"
import type { SpooledSnapshot } from "../../../services/Database.ts"
import type { Spool } from "../../../services/Spool.ts"
import { attempt, type EngineError } from "../Engine.ts"
import type { KnownMembersNow } from "./KnownMembers.ts"
import * as MemberReader from "./MemberReader.ts"
import type { SnapshotPass } from "./SnapshotPass.ts"

/** The reader of a snapshot. */
export type Fed = Pick<SnapshotPass, "push" | "skip" | "pushMember" | "finish">

/** Passes the next chunk to a pass, lets it skip a member, or tells it that the snapshot has ended. */
export type Feed = (pass: Fed) => Effect.Effect<void, EngineError>

/** Passes one item to a pass. Returns the content of a member, which is released when the next item is requested. */
const give = Effect.fnUntraced(function* (pass: Fed, item: MemberReader.Item) {
  if (item instanceof Uint8Array) return void pass.push(item)
  const { content, digest, known } = item
  if (known !== undefined && (yield* attempt(() => pass.skip(known)))) return
  const bytes = yield* content
  // The turn of the event loop lets the reader decompress ahead. Without it, the next decompressions would start only
  // when all decompressed members are used up.
  yield* Effect.yieldNow
  pass.pushMember(digest, bytes)
  return bytes
})

/**
 * Opens a feed from the first byte. Its resources are released with the scope. `known` contains members to skip, and
 * `ahead` is as for MemberReader.
 */
export const open = Effect.fnUntraced(function* (
  snapshot: SpooledSnapshot,
  known: KnownMembersNow,
  ahead: number = MemberReader.membersAhead
): Effect.fn.Return<Feed, never, Compression | Spool | Scope.Scope> {
  const pull = yield* Stream.toPull(yield* MemberReader.make(snapshot, known, ahead))
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
