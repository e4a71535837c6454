/**
 * Checks that a stream of bytes has exactly the announced size, so that a truncated or overlong body is not mistaken
 * for a complete one. Fails at the first excess byte and does not pass that chunk on. The cost is one addition per
 * chunk.
 */
import { Effect, Stream } from "effect"
import { WrongSize } from "../../services/Storage.ts"

export const sized =
  <E2>(expected: number, onWrong: (reason: WrongSize) => E2) =>
  <E, R>(bytes: Stream.Stream<Uint8Array<ArrayBuffer>, E, R>): Stream.Stream<Uint8Array<ArrayBuffer>, E | E2, R> =>
    Stream.suspend(() => {
      let actual = 0
      const wrong = () => Effect.fail(onWrong(new WrongSize({ expected, actual })))
      return Stream.concat(
        Stream.tap(bytes, (chunk) => {
          actual += chunk.length
          return actual > expected ? wrong() : Effect.void
        }),
        Stream.fromEffectDrain(Effect.suspend(() => (actual === expected ? Effect.void : wrong())))
      )
    })
