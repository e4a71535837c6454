/**
 * Limits of stock LMDB, which every application that shares an environment relies on. Source: lmdb.h, MDB_MAXKEYSIZE.
 */

/**
 * Largest size in bytes of a key, of a DBI's name, and of a value with MDB_DUPSORT. The package lmdb would accept more.
 */
export const maxKeyBytes = 511

/** Map size in bytes of a data file that is created with `create: true` when `map_size` is 0. */
export const defaultMapSize = 1024 ** 3
