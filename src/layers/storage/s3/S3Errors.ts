/** Converts errors of the SDK and of the network into reasons of `StorageError`. Codes: Amazon's "Error responses". */
import { Refused } from "../../../services/Storage.ts"
import { byCode, type Failure, fieldOf, type StorageReason } from "../network/ResponseErrors.ts"
import { ofConnection, oneLine } from "../network/ConnectionErrors.ts"

const transient = new Set([
  "RequestTimeout",
  "RequestTimeoutException",
  "SlowDown",
  "Throttling",
  "ThrottlingException",
  "TooManyRequests",
  "TooManyRequestsException",
  "RequestLimitExceeded",
  "BandwidthLimitExceeded",
  "OperationAborted",
  "ConditionalRequestConflict",
  "BadDigest",
  "IncompleteBody",
  "XAmzContentSHA256Mismatch",
  "NoSuchUpload",
  "PreconditionFailed",
  "TimeoutError"
])

const region = "check region and endpoint_url: the bucket may be in another region"
const token = "the session's credentials have expired or are invalid: renew them"

const advices: Readonly<Record<string, string>> = {
  InvalidAccessKeyId: "check access_key or access_key_file, and that the key is active",
  // versitygw's name for it.
  XAdminUserNotFound: "check access_key or access_key_file, and that the key is active",
  SignatureDoesNotMatch: "check that access_key and secret_key (or their files) are a pair, and region",
  RequestTimeTooSkewed: "check this machine's clock: it differs from the server's by more than the server allows",
  NoSuchBucket: "create the bucket or set create_bucket: true; check bucket and endpoint_url",
  InvalidBucketName: "check bucket",
  BucketAlreadyExists: "the bucket belongs to another account: choose another name",
  AuthorizationHeaderMalformed: region,
  PermanentRedirect: region,
  IllegalLocationConstraintException: region,
  ExpiredToken: token,
  InvalidToken: token,
  TokenRefreshRequired: token,
  CredentialsProviderError:
    "set access_key and secret_key, or give this process credentials by environment, profile or instance role",
  EntityTooLarge: "the store does not accept objects of this size"
}

const denied = "check that the credentials may list, read, write and delete in this bucket"
const misfit = "check endpoint_url and the other options of storage: is this an S3 server, and the right one?"

const codes = { missing: "NoSuchKey", transient, advices, denied }

/** Responses that are not XML (a proxy's page) cause a parsing error. The status is more informative then. */
const failureOf = (error: unknown): Failure => {
  const status = Number(
    fieldOf(fieldOf(error, "$metadata"), "httpStatusCode") ?? fieldOf(fieldOf(error, "$response"), "statusCode") ?? 0
  )
  const code = fieldOf(error, "code")
  const name = String(fieldOf(error, "name") ?? "Error")
  // Names that the SDK gives to errors without a code.
  const plain = /^(?:Error|Unknown|UnknownError|NotFound|SyntaxError|\d+)$/.test(name)
  const text = String(fieldOf(error, "message") ?? error)
  const parsing = /deserialization error|unclosed|xml/i.test(text) && status > 0
  if (parsing && status < 300) {
    return { code: "BadResponse", message: `the response with status ${status} is not that of an S3 server`, status: 0 }
  }
  return {
    code: typeof code === "string" && status === 0 ? code : (plain || parsing) && status > 0 ? String(status) : name,
    message: parsing || text === "" || text === "UnknownError" ? `the response has status ${status}` : text,
    status
  }
}

const staleKeys = new Set([
  "InvalidAccessKeyId",
  "XAdminUserNotFound",
  "SignatureDoesNotMatch",
  "AccessDenied",
  "Forbidden",
  "403",
  "ExpiredToken",
  "InvalidToken",
  "TokenRefreshRequired",
  "CredentialsProviderError"
])

/** True for a refusal of the keys, which may have been replaced in the meantime. */
export const mayBeStaleKeys = (reason: StorageReason) => reason._tag === "Refused" && staleKeys.has(reason.code)

/** `hide` removes secrets from the server's message. */
export const reasonOf = (error: unknown, hide: (text: string) => string): StorageReason => {
  const { code, message, status } = failureOf(error)
  const detail = oneLine(hide(message))
  const refused = (advice: string) => new Refused({ code, detail, advice })
  const known = byCode(codes, { code, message: detail, status })
  if (known !== undefined) return known
  if (status === 301 || status === 307 || status === 308) return refused(region)
  if (status >= 400) return refused(misfit)
  return ofConnection(code, detail)
}
