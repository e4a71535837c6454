/**
 * Prints the names in the bucket at the URL in the first argument, or the error, for tests of what depends on the
 * environment of a process. With `chain` as the second argument, it uses the keys that the SDK finds.
 */
import { Redacted } from "effect"
import * as StorageS3 from "../../../src/layers/storage/s3/StorageS3.ts"
import { s3Options } from "../fixtures/S3OptionsTest.ts"
import { print } from "./ListedNames.ts"

const [endpoint_url = "", credentials] = process.argv.slice(2)
const keys = credentials === "chain" ? {} : { access_key: Redacted.make("a"), secret_key: Redacted.make("s") }
const options = s3Options({ endpoint_url, ...keys })

print(StorageS3.layerWith(options))
