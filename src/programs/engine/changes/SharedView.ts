/** A read transaction that has several users: it ends when the last of them has left it. */
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

  /** With one user, the caller, who has to leave it. */
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

  /** Gives it to another user, until the scope closes. */
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
