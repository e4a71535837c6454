/**
 * The contract that every `Lmdb` layer must pass. It uses real time, because the application of the native layer is
 * another process.
 */
import * as Changes from "./lmdb-contract-changes.ts"
import * as Content from "./lmdb-contract-content.ts"
import * as Transactions from "./lmdb-contract-transactions.ts"
import type { MakeSubject } from "../support/fakes/LmdbSubject.ts"

export const suite = (name: string, make: MakeSubject) => {
  Content.suite(name, make)
  Transactions.suite(name, make)
  Changes.suite(name, make)
}
