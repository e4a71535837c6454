/**
 * Holds a stream of bytes to the size that was announced, so that neither a body that was cut short nor one that goes
 * on is taken for whole. Fails at the first byte too many, and never lets that chunk pass. Costs an addition per chunk.
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
