/**
 * Opens the databases of the configuration. An environment stays open until the process ends. LMDB needs one handle per
 * path and process, so opening the same data file under two names is an error.
 */
import { Context, type Effect } from "effect"
import type { Database, DatabaseError, DatabaseOptions } from "./Database.ts"

export class Databases extends Context.Service<
  Databases,
  {
    /** Opens a database. Fails with `Missing` if there is no such file and `create` is false; it can be tried again. */
    readonly open: (options: DatabaseOptions) => Effect.Effect<Database["Service"], DatabaseError>
  }
>()("lightningstream/services/Databases") {}
