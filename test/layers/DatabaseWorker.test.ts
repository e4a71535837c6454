import { suite } from "./database-contract.ts"
import { worker } from "./DatabaseLayers.ts"

suite("worker", worker)
