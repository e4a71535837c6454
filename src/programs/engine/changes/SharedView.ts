/** A read transaction with several users, which ends when the last of them leaves it. */
import { Effect, Exit, Scope } from "effect"
import { Lmdb, type ReadTransaction } from "../../../services/Lmdb.ts"

export class SharedView {
  readonly view: ReadTransaction
  private readonly scope: Scope.Closeable
  private users = 1

  private constructor(view: ReadTransaction, scope: Scope.Closeable) {
    this.view = view
    this.scope = scope
  }

  /** Opens a view whose only user is the caller, which must leave it. */
  static readonly open = Effect.uninterruptible(
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { read } = yield* Lmdb
      const view = yield* Effect.onError(Scope.provide(read, scope), (cause) =>
        Scope.close(scope, Exit.failCause(cause))
      )
      return new SharedView(view, scope)
    })
  )

  /** Adds a user, which leaves the view when the scope closes. */
  readonly use = Effect.acquireRelease(
    Effect.sync(() => {
      this.users++
      return this.view
    }),
    () => this.leave
  )

  readonly leave: Effect.Effect<void> = Effect.suspend(() =>
    --this.users === 0 ? Scope.close(this.scope, Exit.void) : Effect.void
  )
}
