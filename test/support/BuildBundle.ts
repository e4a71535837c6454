/**
 * Before all tests: makes the bundle, unless it is newer than the sources. The tests run the command as it is
 * published: it starts three times as fast as from source.
 */
import { NodeServices } from "@effect/platform-node"
import { Effect } from "effect"
import { bundle } from "./Command.ts"

export default (): Promise<void> => Effect.runPromise(Effect.provide(bundle, NodeServices.layer))
