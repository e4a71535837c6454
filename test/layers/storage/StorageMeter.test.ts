/** The types of errors in the metrics of S3 and Azure. That the calls are counted, real servers show: test/interop. */
import { assert, describe, it } from "@effect/vitest"
import { errorTypeOf } from "../../../src/layers/storage/StorageMeter.ts"
import { ObjectNotFound, Refused, StorageError, Unavailable, WrongSize } from "../../../src/services/Storage.ts"

const of = (reason: StorageError["reason"]) =>
  errorTypeOf(new StorageError({ operation: "list", place: "", name: "", reason }))

const unavailable = (code: string) => of(new Unavailable({ code, detail: "" }))
const refused = (code: string) => of(new Refused({ code, detail: "", advice: "" }))

describe("the type of an error", () => {
  it("is what Lightning Stream calls it, or the code of the server", () => {
    assert.strictEqual(of(new ObjectNotFound()), "NotFound")
    assert.strictEqual(of(new WrongSize({ expected: 1, actual: 2 })), "Unknown")
    for (const code of ["Timeout", "ETIMEDOUT"]) assert.strictEqual(unavailable(code), "Timeout")
    for (const code of ["ENOTFOUND", "EAI_AGAIN"]) assert.strictEqual(unavailable(code), "DNSError")
    for (const code of ["ECONNREFUSED", "ECONNRESET", "EPIPE", "ERR_PROXY_TUNNEL", "UND_ERR_SOCKET"]) {
      assert.strictEqual(unavailable(code), "URLError", code)
    }
    for (const code of ["CERT_HAS_EXPIRED", "UNABLE_TO_VERIFY_LEAF_SIGNATURE", "EPROTO"]) {
      assert.strictEqual(refused(code), "URLError", code)
    }
    for (const code of ["SlowDown", "503", "InternalError"]) assert.strictEqual(unavailable(code), code)
    for (const code of ["AccessDenied", "NoSuchBucket", "403", "AuthenticationFailed"])
      assert.strictEqual(refused(code), code)
    assert.strictEqual(unavailable(""), "Unknown")
  })
})
