import * as SpoolMemory from "../../src/layers/SpoolMemory.ts"
import { suite } from "./spool-contract.ts"

suite("memory", SpoolMemory.layer)
