/**
 * The name of a DBI. Names are bytes, and not always UTF-8. In memory a name is a string with one character (U+0000 to
 * U+00FF) per byte, so that it can be compared, sorted in byte order and used as a map key without loss. Source:
 * docs/format.md.
 */
import { Brand } from "effect"

export type DbiName = string & Brand.Brand<"DbiName">

const make = Brand.nominal<DbiName>()

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

export const fromBytes = (bytes: Uint8Array): DbiName =>
  make(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1"))

export const toBytes = (name: DbiName): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(name, (character) => character.charCodeAt(0))

/** Returns the name that has the UTF-8 bytes of a text. */
export const fromText = (text: string): DbiName => make(Buffer.from(text, "utf8").toString("latin1"))

/** Returns the name as text, or undefined if its bytes are not UTF-8. */
export const toText = (name: DbiName): string | undefined => {
  try {
    return utf8.decode(toBytes(name))
  } catch {
    return undefined
  }
}

/** Returns the name for messages: text if its bytes are UTF-8 without control characters, otherwise hexadecimal. */
export const display = (name: DbiName): string => {
  const text = toText(name)
  return text === undefined || /\p{Cc}/u.test(text) ? `0x${Buffer.from(name, "latin1").toString("hex")}` : text
}

/** True for our own DBIs, which are never written to a snapshot or taken from one. */
export const isPrivate = (name: DbiName): boolean => name.startsWith("_sync")
