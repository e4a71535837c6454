/**
 * Reads the body of a listing before the SDK, which accepts any XML: it would take a web page, for example, for an
 * empty bucket. A body is passed on only if it begins and ends as a listing does. Any other body is an error.
 */
// @effect-diagnostics-next-line nodeBuiltinImport:off -- the SDK takes and gives node's streams
import type { Readable } from "node:stream"
import { oneLine } from "../network/ConnectionErrors.ts"
import { listingProblem } from "../network/ResponseErrors.ts"

/**
 * A page of 1000 names of 1024 bytes, all of them URL-encoded, has 4 MiB, and some servers send larger pages. A longer
 * body is not a listing and must not fill the memory.
 */
const bodyBytesMax = 64 * 1024 * 1024

/** The number of bytes at either end in which the root element is searched for. */
const edgeBytes = 4096

/** The SDK reports an error that arrives with a status of success. */
const begins = /^(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?(?:<!--[^]*?-->\s*)*<(?:ListBucketResult|Error)[\s>]/
const ends = /<\/(?:ListBucketResult|Error)>\s*$/

/** The name becomes the code of the resulting `Unavailable`. */
class BadListing extends Error {
  override readonly name = "BadListing"
  constructor(detail: string) {
    super(listingProblem(detail))
  }
}

/** `body` belongs to a response with a status of success. */
// @effect-diagnostics-next-line asyncFunction:off -- within the SDK's promises
export const readListing = async (body: Readable): Promise<Buffer> => {
  const chunks: Array<Buffer> = []
  let size = 0
  for await (const chunk of body as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > bodyBytesMax) throw new BadListing(`it goes on after ${bodyBytesMax} bytes`)
    chunks.push(chunk)
  }
  const bytes = Buffer.concat(chunks)
  const start = bytes.toString("latin1", 0, edgeBytes)
  if (!begins.test(start)) {
    const text = oneLine(bytes.toString("utf8", 0, 80))
    throw new BadListing(size === 0 ? "it is empty" : `it begins with ${JSON.stringify(text)}`)
  }
  if (!ends.test(bytes.toString("latin1", Math.max(0, size - edgeBytes)))) throw new BadListing("it is cut off")
  return bytes
}
