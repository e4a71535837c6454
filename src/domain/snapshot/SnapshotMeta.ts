/**
 * The metadata of a snapshot. Absent fields are empty or 0, as in all of proto3. Source: docs/format.md.
 */

export interface SnapshotMeta {
  readonly generationID: string
  readonly instanceID: string
  readonly hostname: string
  readonly databaseName: string
  /** Id of the LMDB transaction in which the snapshot was read. Signed, 64 bits. */
  readonly lmdbTxnID: bigint
  /** Nanoseconds since the UNIX epoch, unsigned. The object's name contains the same time. */
  readonly timestampNano: bigint
  /** Id of the transaction after which the changes begin; 0 in full snapshots. Signed, 64 bits. */
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
