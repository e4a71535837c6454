/** Prints the names in a store, or the error, for tests of what depends on the environment of a process. */
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Console, Effect, type Layer } from "effect"
import { Storage } from "../../../src/services/Storage.ts"

export const print = <E extends { readonly message: string }>(
  storage: Layer.Layer<Storage, E, NodeServices.NodeServices>
): void =>
  Effect.gen(function* () {
    const { list } = yield* Storage
    yield* Console.log((yield* list("")).map(({ name }) => name).join())
  }).pipe(
    Effect.provide(storage),
    Effect.catch((error) => Console.log(error.message)),
    Effect.provide(NodeServices.layer),
    NodeRuntime.runMain
  )
