/**
 * What goes wrong on the way to a store, before it has answered, as reasons of `StorageError`; the same for every SDK,
 * as the errors are node's. What may pass by itself is `Unavailable`; what needs a person is `Refused` with advice.
 * Codes: node's errors, OpenSSL's verification errors.
 */
import { Refused, Unavailable } from "../../../services/Storage.ts"

const untrusted =
  "check tls.ca_file (the server's CA), the host name in endpoint_url, and the clocks; tls.insecure_skip_verify is for tests only"

/** OpenSSL's verification errors, as node names them. */
const isCertificateError = (code: string) =>
  code.includes("CERT") ||
  code === "UNABLE_TO_VERIFY_LEAF_SIGNATURE" ||
  code.startsWith("UNABLE_TO_GET_ISSUER") ||
  code === "HOSTNAME_MISMATCH" ||
  code === "INVALID_CA" ||
  code === "INVALID_PURPOSE"

/** Handshakes that end otherwise: the server wants a client certificate, or speaks no TLS at all. */
const isHandshakeError = (code: string) =>
  code.startsWith("ERR_SSL_") || code.startsWith("ERR_TLS_") || code === "EPROTO"

export const oneLine = (text: string) => {
  const line = text.replace(/\s+/g, " ").trim()
  return line.length > 300 ? `${line.slice(0, 300)}…` : line
}

/** `code`: of node's error. `detail`: for people, without secrets. */
export const ofConnection = (code: string, detail: string): Refused | Unavailable => {
  if (isCertificateError(code)) return new Refused({ code, detail, advice: untrusted })
  if (isHandshakeError(code)) {
    return new Refused({
      code,
      detail,
      advice: "check that endpoint_url has the right scheme and port, and the client certificate in tls"
    })
  }
  if (code === "ERR_PROXY_TUNNEL")
    return new Unavailable({ code, detail: `the proxy in HTTP_PROXY or HTTPS_PROXY: ${detail}` })
  return new Unavailable({ code, detail })
}
