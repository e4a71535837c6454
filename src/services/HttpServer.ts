/**
 * Serves pages over HTTP to browsers, Prometheus and probes. Each request renders its page.
 *
 * Guarantees: only `GET` and `HEAD` are served; other paths get 404, and other methods 405. A client that sends or
 * reads too slowly, or that exceeds the limit of connections, loses its connection; other clients are not affected. A
 * page that fails gives a 500 and an error in the log.
 */
import { Context, type Effect, Schema, type Scope } from "effect"

export interface PageResponse {
  /** Status code, 200 if absent. */
  readonly status?: number
  readonly contentType: string
  readonly body: string
  readonly headers?: Readonly<Record<string, string>>
}

/** Pages by their path. Each request renders its page again. */
export type Pages = Readonly<Record<string, Effect.Effect<PageResponse>>>

const advice: Readonly<Record<string, string>> = {
  EADDRINUSE: "another process listens there",
  EACCES: "this user may not listen there: ports below 1024 are privileged",
  EADDRNOTAVAIL: "this machine has no such address",
  ENOTFOUND: "the host name is not known"
}

export class CannotListen extends Schema.TaggedError<CannotListen>()("CannotListen", {
  address: Schema.String,
  /** Error code of the system, such as EADDRINUSE. */
  code: Schema.String
}) {
  override get message(): string {
    return `http.address: cannot listen on ${this.address} (${this.code}): ${advice[this.code] ?? "check the address"}`
  }
}

export class HttpServer extends Context.Service<
  HttpServer,
  {
    /** Serves the pages. The server listens when this returns, and stops when the scope closes. */
    readonly serve: (pages: Pages) => Effect.Effect<void, CannotListen, Scope.Scope>
  }
>()("lightningstream/services/HttpServer") {}
