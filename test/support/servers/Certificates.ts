/**
 * Certificates for tests, which the openssl command creates in a temporary directory: CAs, and pairs of certificate and
 * key for 127.0.0.1, localhost and store.example.
 */
import { Effect, FileSystem, Schema, Stream } from "effect"
import { ChildProcess } from "effect/process"

class OpensslFailed extends Schema.TaggedError<OpensslFailed>()("OpensslFailed", { output: Schema.String }) {}

const openssl = Effect.fnUntraced(function* (directory: string, ...args: ReadonlyArray<string>) {
  const handle = yield* ChildProcess.make("openssl", args, { cwd: directory })
  const output = yield* Stream.mkString(Stream.decodeText(handle.all))
  if ((yield* handle.exitCode) !== 0) return yield* new OpensslFailed({ output })
}, Effect.scoped)

const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]

export interface Pair {
  readonly certFile: string
  readonly keyFile: string
  readonly cert: string
  readonly key: string
}

const read = Effect.fnUntraced(function* (directory: string, name: string) {
  const fs = yield* FileSystem.FileSystem
  const [certFile, keyFile] = [`${directory}/${name}.pem`, `${directory}/${name}.key`]
  const pair: Pair = {
    certFile,
    keyFile,
    cert: yield* fs.readFileString(certFile),
    key: yield* fs.readFileString(keyFile)
  }
  return pair
})

/** Creates a CA and a function that creates pairs signed by it, all of which are valid for a number of days. */
export const authorityFor = Effect.fnUntraced(function* (days: number) {
  const fs = yield* FileSystem.FileSystem
  const directory = yield* fs.makeTempDirectoryScoped({ prefix: "certificates-" })
  yield* openssl(
    directory,
    "req",
    "-x509",
    ...curve,
    "-keyout",
    "ca.key",
    "-out",
    "ca.pem",
    "-subj",
    "/CN=Test CA",
    "-days",
    String(days)
  )
  const issue = Effect.fnUntraced(function* (name: string) {
    yield* fs.writeFileString(`${directory}/names`, "subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:store.example\n")
    yield* openssl(directory, "req", ...curve, "-keyout", `${name}.key`, "-out", `${name}.csr`, "-subj", `/CN=${name}`)
    const sign = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", String(days), "-extfile", "names"]
    yield* openssl(directory, "x509", "-req", "-in", `${name}.csr`, "-out", `${name}.pem`, ...sign)
    return yield* read(directory, name)
  })
  return { ...(yield* read(directory, "ca")), issue }
})

/** Creates a CA and pairs that are valid for two days. */
export const authority = authorityFor(2)
