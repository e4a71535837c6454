/**
 * Prints the names in the container at the URL in the first argument, or the error, for tests of what depends on the
 * environment of a process. It has no key, and uses the credentials that the SDK finds.
 */
import { Duration } from "effect"
import * as StorageAzure from "../../../src/layers/storage/azure/StorageAzure.ts"
import { azureOptions } from "../fixtures/AzureOptionsTest.ts"
import { print } from "./ListedNames.ts"

const [endpoint_url = "", ca_file = ""] = process.argv.slice(2)
const defaults = azureOptions({})
const options = azureOptions({ endpoint_url, client_timeout: Duration.seconds(10), tls: { ...defaults.tls, ca_file } })

print(StorageAzure.layerWith(options))
