/**
 * `node bench/bare-http.ts 0`: an idle server, as a measure of the machine. Prints its port. With `free`, it only
 * prints a free port, and ends.
 */
// @effect-diagnostics-next-line nodeBuiltinImport:off -- as little as a server can be: it is a measure of the machine
import * as http from "node:http"
import type { AddressInfo } from "node:net"

const server = http.createServer((_, response) => void response.end("{}"))
server.listen(0, "127.0.0.1", () => {
  process.stdout.write(`${(server.address() as AddressInfo).port}\n`)
  if (process.argv[2] === "free") server.close()
})
