/** `node putAt.process.ts FILE KEY VALUE NANOSECONDS`: puts an entry with that time, as a merge does. */
import * as Bare from "../../../bench/BareLmdb.ts"
import * as NativeEntry from "../../../bench/NativeEntry.ts"
import { dbiName, mapSize } from "../../../demo/Arrivals.ts"

const [file, key, value, nanos] = process.argv.slice(2) as [string, string, string, string]
const environment = Bare.open(file, mapSize)
NativeEntry.put(environment, Bare.openDbi(environment, dbiName, true), key, value, BigInt(nanos))
