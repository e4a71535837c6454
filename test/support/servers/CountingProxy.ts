/** A proxy for a server on 127.0.0.1, which records each request that it forwards. */
import { Effect } from "effect"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- requests are passed on byte by byte
import * as http from "node:http"
import { serve } from "./HandMadeServer.ts"

export interface CountingProxy {
  readonly endpoint_url: string
  /**
   * Returns the requests since the last call, such as `GET /bucket/object`, without the query. Requests of listings are
   * `LIST /bucket/prefix`.
   */
  readonly requests: Effect.Effect<ReadonlyArray<string>>
}

const nameOf = ({ method, url = "" }: http.IncomingMessage) => {
  const { pathname, searchParams } = new URL(url, "http://proxy")
  const isList = method === "GET" && (searchParams.has("list-type") || searchParams.get("comp") === "list")
  return isList ? `LIST ${pathname.replace(/\/$/, "")}/${searchParams.get("prefix") ?? ""}` : `${method} ${pathname}`
}

export const make = (port: number) => {
  let seen: Array<string> = []
  return Effect.map(
    serve((request, response) => {
      seen.push(nameOf(request))
      const { headers, method, url } = request
      const onward = http.request({ host: "127.0.0.1", port, method, path: url, headers }, (answer) => {
        response.writeHead(answer.statusCode!, answer.headers)
        answer.pipe(response)
      })
      onward.on("error", () => request.socket.destroy())
      request.pipe(onward)
    }),
    ({ endpoint_url }): CountingProxy => ({
      endpoint_url,
      requests: Effect.sync(() => {
        const taken = seen
        seen = []
        return taken
      })
    })
  )
}
