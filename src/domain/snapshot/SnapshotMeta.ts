/**
 * The metadata of a snapshot. Absent fields are empty or 0, as in all of proto3. Source: docs/format.md.
 */

export interface SnapshotMeta {
  readonly generationID: string
  readonly instanceID: string
  readonly hostname: string
  readonly databaseName: string
  /** Id of the LMDB transaction that the snapshot was read in. Signed, 64 bits. */
  readonly lmdbTxnID: bigint
  /** Nanoseconds since the UNIX epoch, unsigned. The object's name has the same instant. */
  readonly timestampNano: bigint
  /** Id of the transaction that the changes begin after; 0 in full snapshots. Signed, 64 bits. */
  readonly fromLmdbTxnID: bigint
}

export const empty: SnapshotMeta = {
  generationID: "",
  instanceID: "",
  hostname: "",
  databaseName: "",
  lmdbTxnID: 0n,
  timestampNano: 0n,
  fromLmdbTxnID: 0n
}
