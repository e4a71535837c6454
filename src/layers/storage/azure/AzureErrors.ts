/**
 * Converts errors of the SDK and of the network into reasons of `StorageError`. Codes: Microsoft's "Blob service error
 * codes" and "Common REST API error codes".
 */
import { Refused } from "../../../services/Storage.ts"
import { byCode, type Failure, fieldOf, type StorageReason } from "../network/ResponseErrors.ts"
import { ofConnection, oneLine } from "../network/ConnectionErrors.ts"

const transient = new Set([
  "ServerBusy",
  "OperationTimedOut",
  "AccountBeingCreated",
  "ContainerBeingDeleted",
  "Md5Mismatch",
  "InvalidBlockList",
  "IncompleteBody",
  "ConditionNotMet"
])

const permission =
  "give this identity the role Storage Blob Data Contributor for the container, and check the firewall of the account"
const name = "check container: 3 to 63 lower-case letters, digits and single dashes"
const chain =
  "set use_shared_key with an account key, or give this process credentials: AZURE_CLIENT_ID and its kin, a workload's or a managed identity"

const advices: Readonly<Record<string, string>> = {
  AuthenticationFailed:
    "check account_name, that account_key (or account_key_file) is a key of that account, and this machine's clock",
  InvalidAuthenticationInfo: "check use_shared_key: does the account take this kind of credentials?",
  KeyBasedAuthenticationNotPermitted:
    "the account takes no keys: set use_shared_key to false and give this process an identity",
  AuthorizationFailure: permission,
  AuthorizationPermissionMismatch: permission,
  AuthorizationSourceIPMismatch: permission,
  InsufficientAccountPermissions: permission,
  AccountIsDisabled: "the account is disabled: ask its owner",
  ContainerNotFound: "create the container or set create_container: true; check container and endpoint_url",
  ContainerDisabled: "the container is disabled: ask the owner of the account",
  InvalidResourceName: name,
  OutOfRangeInput: name,
  RequestBodyTooLarge: "the store does not accept objects of this size",
  CredentialUnavailableError: chain,
  AuthenticationRequiredError: chain,
  AuthenticationError: chain,
  AggregateAuthenticationError: chain
}

const misfit = "check endpoint_url and the other options of storage: is this Azure Blob Storage, and the right account?"

const codes = { missing: "BlobNotFound", transient, advices, denied: permission }

/**
 * Responses that are not Azure's (a proxy's page) have no code or cause a parsing error. The status is more informative
 * then.
 */
const failureOf = (error: unknown): Failure => {
  const status = Number(fieldOf(error, "statusCode") ?? fieldOf(fieldOf(error, "response"), "status") ?? 0)
  const name = String(fieldOf(error, "name") ?? "Error")
  const code = fieldOf(error, "code")
  const message = String(fieldOf(error, "message") ?? error)
  // Not caused by us: the result of a request that we have aborted is not awaited.
  if (name === "AbortError")
    return { code: "ECONNRESET", message: "the connection was closed in the middle", status: 0 }
  if (Object.hasOwn(advices, name)) return { code: name, message, status: 0 }
  if (typeof code === "string" && code !== "" && code !== "PARSE_ERROR") return { code, message, status }
  // The SDK's error for a proxy's page, in which it does not find the expected fields, whatever the status was.
  const isLost = error instanceof TypeError || error instanceof RangeError
  if (isLost || (status >= 200 && status < 300))
    return { code: "BadResponse", message: "the response is not that of Azure Blob Storage", status: 0 }
  return status > 0
    ? { code: String(status), message: `the response has status ${status}`, status }
    : { code: typeof code === "string" ? code : name, message, status }
}

/** True for a refusal of the key, which may have been replaced in the meantime. */
export const mayBeStaleKey = (reason: StorageReason) =>
  reason._tag === "Refused" && /^(?:AuthenticationFailed|AuthorizationFailure|403)$/.test(reason.code)

/** `hide` removes secrets from the server's message. */
export const reasonOf = (error: unknown, hide: (text: string) => string): StorageReason => {
  const { code, message, status } = failureOf(error)
  // The rest of the message consists of ids and the time of the request.
  const detail = oneLine(hide(message.replace(/\s*RequestId:[^]*$/, "")))
  const known = byCode(codes, { code, message: detail, status })
  if (known !== undefined) return known
  return status >= 300 ? new Refused({ code, detail, advice: misfit }) : ofConnection(code, detail)
}
