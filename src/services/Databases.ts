/**
 * Opens the databases of the configuration. An environment stays open until the process ends. LMDB allows one handle
 * per path and process, so opening the same data file under two names is an error.
 */
import { Context, type Effect } from "effect"
import type { Database, DatabaseError, DatabaseOptions } from "./Database.ts"

export class Databases extends Context.Service<
  Databases,
  {
    /**
     * Opens a database. Fails with `Missing` if the file does not exist and `create` is false; the call can then be
     * retried.
     */
    readonly open: (options: DatabaseOptions) => Effect.Effect<Database["Service"], DatabaseError>
  }
>()("lightningstream/services/Databases") {}
