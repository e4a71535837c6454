/** A spool that counts the bytes that are read from it, to show the progress of reading snapshots. */
import { Effect, Stream } from "effect"
import type { Meter } from "../../services/Progress.ts"
import type { Spool, Spooled } from "../../services/Spool.ts"

/** Counts each byte once, though the members of a snapshot are read again after a look at their heads. */
export const metered = (spool: Spool["Service"], { add }: Meter): Spool["Service"] => {
  const reached = new Map<Spooled, number>()
  const reach = (spooled: Spooled, end: number) => {
    const before = reached.get(spooled) ?? 0
    if (end <= before) return
    reached.set(spooled, end)
    add(end - before)
  }
  return {
    ...spool,
    readInto: (spooled, start, target) =>
      Effect.tap(spool.readInto(spooled, start, target), () =>
        Effect.sync(() => reach(spooled, start + target.length))
      ),
    read: (spooled, range) =>
      Stream.suspend(() => {
        let at = range?.start ?? 0
        return Stream.tap(spool.read(spooled, range), (chunk) =>
          Effect.sync(() => {
            at += chunk.length
            reach(spooled, at)
          })
        )
      })
  }
}
