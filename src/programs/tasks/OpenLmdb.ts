/** The function with which tasks open LMDBs. The entry of the thread decides which layer it uses. */
import type { Layer } from "effect"
import type { Lmdb, LmdbError, LmdbOptions } from "../../services/Lmdb.ts"

/** Opens an environment for as long as the layer lives. */
export type OpenLmdb = (options: LmdbOptions) => Layer.Layer<Lmdb, LmdbError>
