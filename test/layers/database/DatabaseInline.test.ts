import { suite } from "../../contracts/database-contract.ts"
import { inline } from "../../support/fakes/DatabaseLayers.ts"

suite("inline", inline)
