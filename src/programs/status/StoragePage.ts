/** The page /storage: a listing of all objects below the global prefix. There is one listing at a time. */
import { Effect, Semaphore } from "effect"
import type { PageResponse } from "../../services/HttpServer.ts"
import { Storage } from "../../services/Storage.ts"

const patience = "10 seconds"

const contentType = "text/plain; charset=utf-8"

const failed = (message: string): PageResponse => ({ status: 500, contentType, body: `${message}\n` })

/** Creates the page. Requests that arrive during a listing wait for their turn. */
export const make = Effect.map(Semaphore.make(1), (turns) =>
  turns
    .withPermits(1)(Effect.flatMap(Storage, ({ list }) => list("")))
    .pipe(
      Effect.map((objects): PageResponse => {
        const lines = objects.map(({ name, size }) => `${name}\t${size}\n`)
        return { contentType, body: `Name\tSize\n${lines.join("")}` }
      }),
      Effect.catchTag("StorageError", ({ message }) => Effect.succeed(failed(message))),
      Effect.timeoutOrElse({
        duration: patience,
        orElse: () => Effect.succeed(failed("the storage has not been listed within 10 s"))
      })
    )
)
