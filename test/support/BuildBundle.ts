/**
 * Builds the bundle before all tests, unless it is newer than the sources. The tests run the command as it is
 * published, which starts three times as fast as from source.
 */
import { NodeServices } from "@effect/platform-node"
import { Effect } from "effect"
import { bundle } from "./Command.ts"

export default (): Promise<void> => Effect.runPromise(Effect.provide(bundle, NodeServices.layer))
