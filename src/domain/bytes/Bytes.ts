/** Bytes whose memory can be transferred between threads and released. */
export type Bytes = Uint8Array<ArrayBuffer>
