import { suite } from "../../contracts/database-contract.ts"
import { worker } from "../../support/fakes/DatabaseLayers.ts"

suite("worker", worker)
