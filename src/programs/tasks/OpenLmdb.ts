/** How a task opens an LMDB: which layer that is, the thread's entry decides. */
import type { Layer } from "effect"
import type { Lmdb, LmdbError, LmdbOptions } from "../../services/Lmdb.ts"

/** Opens an environment for as long as the layer lives. */
export type OpenLmdb = (options: LmdbOptions) => Layer.Layer<Lmdb, LmdbError>
