/**
 * Serves pages over HTTP to browsers, Prometheus and probes. Each request renders its page.
 *
 * Guarantees: only `GET` and `HEAD`, 404 for other paths, 405 for other methods. A client that sends or reads too
 * slowly, or one too many, loses its connection, and nothing else. A page that fails is a 500 and an error in the log.
 */
import { Context, type Effect, Schema, type Scope } from "effect"

export interface PageResponse {
  /** 200 if absent. */
  readonly status?: number
  readonly contentType: string
  readonly body: string
  readonly headers?: Readonly<Record<string, string>>
}

/** By path. */
export type Pages = Readonly<Record<string, Effect.Effect<PageResponse>>>

const advice: Readonly<Record<string, string>> = {
  EADDRINUSE: "another process listens there",
  EACCES: "this user may not listen there: ports below 1024 are privileged",
  EADDRNOTAVAIL: "this machine has no such address",
  ENOTFOUND: "the host name is not known"
}

export class CannotListen extends Schema.TaggedError<CannotListen>()("CannotListen", {
  address: Schema.String,
  /** The system's. */
  code: Schema.String
}) {
  override get message(): string {
    return `http.address: cannot listen on ${this.address} (${this.code}): ${advice[this.code] ?? "check the address"}`
  }
}

export class HttpServer extends Context.Service<
  HttpServer,
  {
    /** Listens until the scope closes; it does so when this returns. */
    readonly serve: (pages: Pages) => Effect.Effect<void, CannotListen, Scope.Scope>
  }
>()("lightningstream/services/HttpServer") {}
