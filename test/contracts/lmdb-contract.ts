/** The contract every `Lmdb` layer must pass. In real time: the real one has another process for its application. */
import * as Changes from "./lmdb-contract-changes.ts"
import * as Content from "./lmdb-contract-content.ts"
import * as Transactions from "./lmdb-contract-transactions.ts"
import type { MakeSubject } from "../support/fakes/LmdbSubject.ts"

export const suite = (name: string, make: MakeSubject) => {
  Content.suite(name, make)
  Transactions.suite(name, make)
  Changes.suite(name, make)
}
