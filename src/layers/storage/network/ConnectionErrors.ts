/**
 * Converts connection errors, which occur before a store responds, into reasons of `StorageError`. They are the same
 * for every SDK, because they are Node's. A transient problem is `Unavailable`, and one that requires an operator is
 * `Refused` with advice. Codes: Node's errors, OpenSSL's verification errors.
 */
import { Refused, Unavailable } from "../../../services/Storage.ts"

const untrusted =
  "check tls.ca_file (the server's CA), the host name in endpoint_url, and the clocks; tls.insecure_skip_verify is for tests only"

/** True for OpenSSL's verification errors, by Node's names. */
const isCertificateError = (code: string) =>
  code.includes("CERT") ||
  code === "UNABLE_TO_VERIFY_LEAF_SIGNATURE" ||
  code.startsWith("UNABLE_TO_GET_ISSUER") ||
  code === "HOSTNAME_MISMATCH" ||
  code === "INVALID_CA" ||
  code === "INVALID_PURPOSE"

/** True for other failures of the handshake: the server requires a client certificate or does not speak TLS. */
const isHandshakeError = (code: string) =>
  code.startsWith("ERR_SSL_") || code.startsWith("ERR_TLS_") || code === "EPROTO"

export const oneLine = (text: string) => {
  const line = text.replace(/\s+/g, " ").trim()
  return line.length > 300 ? `${line.slice(0, 300)}…` : line
}

/** `code` is that of Node's error. `detail` is a text for operators without secrets. */
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
