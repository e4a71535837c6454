/**
 * Reads the body of a listing ahead of the SDK, which takes any XML for one: a web page, say, would be an empty bucket.
 * The SDK gets bodies that begin and end as a listing does, all others are errors.
 */
// @effect-diagnostics-next-line nodeBuiltinImport:off -- the SDK takes and gives node's streams
import type { Readable } from "node:stream"
import { oneLine } from "../network/ConnectionErrors.ts"
import { listingProblem } from "../network/ResponseErrors.ts"

/**
 * A page of 1000 names of 1024 bytes, all of them URL-encoded, has 4 MiB; some servers put more names in one. What goes
 * on is no listing, and must not fill the memory.
 */
const bodyBytesMax = 64 * 1024 * 1024

/** The root element is looked for in as many bytes at either end. */
const edgeBytes = 4096

/** An error with a status of success is the SDK's to report. */
const begins = /^(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?(?:<!--[^]*?-->\s*)*<(?:ListBucketResult|Error)[\s>]/
const ends = /<\/(?:ListBucketResult|Error)>\s*$/

/** Its name is the code of the `Unavailable` that it becomes. */
class BadListing extends Error {
  override readonly name = "BadListing"
  constructor(detail: string) {
    super(listingProblem(detail))
  }
}

/** `body`: of a response with a status of success. */
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
