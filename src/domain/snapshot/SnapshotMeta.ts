/**
 * What a snapshot says about itself. Fields that are absent are empty or 0, as everywhere in proto3. Source:
 * docs/format.md.
 */

export interface SnapshotMeta {
  readonly generationID: string
  readonly instanceID: string
  readonly hostname: string
  readonly databaseName: string
  /** Id of the transaction that everything comes from. Signed, 64 bits. */
  readonly lmdbTxnID: bigint
  /** Nanoseconds since the UNIX epoch, unsigned: the same instant as in the object's name. */
  readonly timestampNano: bigint
  /** Exclusive; 0 in full snapshots. Signed, 64 bits. */
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
