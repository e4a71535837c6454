import { suite } from "./database-contract.ts"
import { inline } from "./DatabaseLayers.ts"

suite("inline", inline)
