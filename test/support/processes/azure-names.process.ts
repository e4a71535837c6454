/**
 * Prints the names in the container at the URL of the first argument, or the error: for tests of what the environment
 * of a process decides. It has no key but the credentials that the SDK finds.
 */
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Console, Duration, Effect } from "effect"
import * as StorageAzure from "../../../src/layers/storage/azure/StorageAzure.ts"
import { Storage } from "../../../src/services/Storage.ts"
import { azureOptions } from "../fixtures/AzureOptionsTest.ts"

const [endpoint_url = "", ca_file = ""] = process.argv.slice(2)
const defaults = azureOptions({})
const options = azureOptions({ endpoint_url, client_timeout: Duration.seconds(10), tls: { ...defaults.tls, ca_file } })

const program = Effect.gen(function* () {
  const { list } = yield* Storage
  yield* Console.log((yield* list("")).map(({ name }) => name).join())
}).pipe(Effect.catch((error) => Console.log(error.message)))

NodeRuntime.runMain(
  program.pipe(
    Effect.provide(StorageAzure.layerWith(options)),
    Effect.catch((error) => Console.log(error.message)),
    Effect.provide(NodeServices.layer)
  )
)
