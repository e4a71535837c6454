/**
 * The messages between `DatabaseWorker` and `DatabaseWorkerServer`: commands and results, all coarse. Snapshots do not
 * cross: both threads read and write the spool, whose places are plain data.
 *
 * RPC does not await a client's interruption. So a call that must have ended when it is left has a number: `Begin`
 * registers it, and `End` answers when the engine has left it, its finalizers included.
 */
import { Schema } from "effect"
// Submodules, not the barrels: a worker loads what it imports, and the barrels drag in HTTP, sockets and clusters.
import * as Rpc from "effect/rpc/Rpc"
import * as RpcGroup from "effect/rpc/RpcGroup"
import {
  Changes,
  DatabaseError,
  DatabaseInfo,
  DatabaseOptions,
  DeltaRequest,
  DumpRequest,
  DumpResult,
  MergeRequest,
  MergeResult,
  SweepRequest,
  SweepResult
} from "../../services/Database.ts"

const Call = { database: Schema.String, call: Schema.Int }

export class DatabaseRpcs extends RpcGroup.make(
  /** Opens the environment in this worker, for as long as the worker lives. */
  Rpc.make("Open", { payload: { options: DatabaseOptions }, error: DatabaseError }),
  Rpc.make("Changes", { payload: { database: Schema.String }, success: Changes, error: DatabaseError }),
  Rpc.make("Info", { payload: { database: Schema.String }, success: DatabaseInfo, error: DatabaseError }),
  Rpc.make("MappedMemory", {
    payload: { database: Schema.String },
    success: Schema.Record(Schema.String, Schema.Number),
    error: DatabaseError
  }),
  Rpc.make("ClearDeadReaders", { payload: { database: Schema.String }, success: Schema.Number, error: DatabaseError }),
  Rpc.make("Newest", { payload: { database: Schema.String }, success: Schema.BigInt, error: DatabaseError }),
  Rpc.make("StaleMark", {
    payload: { database: Schema.String },
    success: Schema.UndefinedOr(Schema.BigInt),
    error: DatabaseError
  }),
  Rpc.make("MarkStale", {
    payload: { database: Schema.String, newest: Schema.UndefinedOr(Schema.BigInt) },
    error: DatabaseError
  }),
  Rpc.make("Begin", { payload: Call }),
  Rpc.make("Dump", { payload: { ...Call, request: DumpRequest }, success: DumpResult, error: DatabaseError }),
  Rpc.make("DumpDelta", {
    payload: { ...Call, request: DeltaRequest },
    success: Schema.UndefinedOr(DumpResult),
    error: DatabaseError
  }),
  Rpc.make("Merge", {
    payload: { ...Call, request: MergeRequest },
    success: Schema.NonEmptyArray(MergeResult),
    error: DatabaseError
  }),
  Rpc.make("Sweep", { payload: { ...Call, request: SweepRequest }, success: SweepResult, error: DatabaseError }),
  Rpc.make("End", { payload: Call })
) {}
