import * as SpoolMemory from "../../../src/layers/spool/SpoolMemory.ts"
import { suite } from "../../contracts/spool-contract.ts"

suite("memory", SpoolMemory.layer)
