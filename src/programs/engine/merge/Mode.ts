/**
 * The differences between the two modes of a database: `schema_tracks_changes: true` (native) and `false` (shadow).
 * Source: docs/sync.md.
 */
import * as DbiFlags from "../../../domain/lmdb/DbiFlags.ts"
import * as DbiName from "../../../domain/lmdb/DbiName.ts"
import { type KeyOrder, orderOf, plain } from "../../../domain/lmdb/KeyOrder.ts"
import * as ShadowFlags from "../../../domain/lmdb/ShadowFlags.ts"
import * as ShadowName from "../../../domain/lmdb/ShadowName.ts"
import {
  type DbiHead,
  dupsortTransform,
  nativeDbiRefusal,
  shadowDbiRefusal
} from "../../../domain/snapshot/SnapshotRules.ts"
import type { DatabaseOptions } from "../../../services/Database.ts"
import type { Dbi } from "../../../services/Lmdb.ts"
import { NativeTarget } from "./write/NativeTarget.ts"
import { type ShadowOptions, ShadowTarget } from "./write/ShadowTarget.ts"
import { checkNative, checkShadow } from "../SyncedDbis.ts"
import type { Target } from "./write/Target.ts"

/** The limits of the LMDB. */
export interface Room {
  /** Maximum number of DBIs (`options.max_dbs`). */
  readonly maxDbs: number
  /** Size of the map in bytes. */
  readonly mapSize: number
}

export interface Mode {
  readonly room: Room
  /** Options of shadow mode. Undefined in native mode. */
  readonly shadow: ShadowOptions | undefined
  /** Checks an application's DBI. Throws if it cannot be synced. */
  readonly check: (dbi: Dbi) => void
  /**
   * Returns why a DBI of a snapshot must not be merged, or undefined if it may be. `local` is the application's DBI,
   * and `headers` is the DBI that has the headers. Each is undefined if it does not exist.
   */
  readonly refusal: (
    head: DbiHead,
    formatVersion: number,
    local: Dbi | undefined,
    headers: Dbi | undefined
  ) => string | undefined
  /** Returns the head that determines how the layout of the snapshot's keys is checked. */
  readonly layout: (head: DbiHead, local: Dbi | undefined) => DbiHead
  /** Returns whether the entries of a DBI of a snapshot are pairs of an MDB_DUPSORT DBI. */
  readonly isPairs: (head: DbiHead, local: Dbi | undefined) => boolean
  /** Returns whether the values of these pairs must have the same size (MDB_DUPFIXED). */
  readonly isFixed: (head: DbiHead, local: Dbi | undefined) => boolean
  /** Returns the name of the DBI that has the headers. */
  readonly headersOf: (dbi: DbiName.DbiName) => DbiName.DbiName
  /** Returns the `transform` of the DBI in a snapshot. */
  readonly transformOf: (dbi: Dbi) => string
  readonly target: () => Target
}

/** Returns the key order of a snapshot's DBI. */
export const orderOfHead = (head: DbiHead): KeyOrder => {
  const flags = Number(head.flags & BigInt(DbiFlags.persistent))
  return (flags & DbiFlags.DUPSORT) !== 0 || head.transform !== "" ? plain : orderOf(flags)
}

const native = (room: Room, paddingBlocks: number): Mode => ({
  room,
  shadow: undefined,
  check: checkNative,
  refusal: (head) => nativeDbiRefusal(head),
  layout: (head) => head,
  isPairs: () => false,
  isFixed: () => false,
  headersOf: (dbi) => dbi,
  transformOf: () => "",
  target: () => new NativeTarget(paddingBlocks)
})

const shadow = (room: Room, options: ShadowOptions, paddingBlocks: number): Mode => {
  /** Returns the flags that the DBI has here or will be created with, or undefined if the snapshot decides. */
  const flagsHere = (head: DbiHead, local: Dbi | undefined) => local?.flags ?? options.createFlags.get(head.name)
  const flagsAfter = (head: DbiHead, local: Dbi | undefined) => flagsHere(head, local) ?? Number(head.flags)

  return {
    room,
    shadow: options,
    check: (dbi) => checkShadow(dbi, options.dupsortHack),
    refusal: (head, formatVersion, local, headers) => {
      const refusal = shadowDbiRefusal(head, formatVersion, {
        exists: local !== undefined,
        overrideCreateFlags: options.createFlags.get(head.name),
        dupsortHack: options.dupsortHack
      })
      if (refusal !== undefined || DbiName.isPrivate(head.name)) return refusal
      const theirs = Number(head.flags)
      const here = flagsAfter(head, local)
      const problem = ShadowFlags.problemOf(here, options.dupsortHack)
      if (problem !== undefined) return problem
      if (headers !== undefined && headers.flags !== ShadowFlags.of(here)) {
        return `it has the flags ${DbiFlags.display(here)}, but its shadow here is of a DBI with others: run drop-shadow, and start again`
      }
      const same =
        ShadowFlags.of(here) === ShadowFlags.of(theirs) &&
        (formatVersion < 3 || DbiFlags.isDupsort(here) === DbiFlags.isDupsort(theirs))
      return same
        ? undefined
        : `it has the flags ${DbiFlags.display(theirs)}, the DBI here has ${DbiFlags.display(here)}`
    },
    // In formats 1 and 2, nothing shows that the keys are those of the shadow of an MDB_DUPSORT DBI.
    layout: (head, local) =>
      DbiFlags.isDupsort(flagsHere(head, local) ?? 0)
        ? { name: head.name, flags: BigInt(DbiFlags.DUPSORT), transform: dupsortTransform }
        : head,
    isPairs: (head, local) => DbiFlags.isDupsort(flagsAfter(head, local)),
    isFixed: (head, local) => (flagsAfter(head, local) & DbiFlags.DUPFIXED) !== 0,
    headersOf: ShadowName.of,
    transformOf: (dbi) => (DbiFlags.isDupsort(dbi.flags) ? dupsortTransform : ""),
    target: () => new ShadowTarget(options, paddingBlocks)
  }
}

/** Returns the mode of a database. `mapSize` is the size of the map in bytes. */
export const of = (options: DatabaseOptions, mapSize = Infinity): Mode => {
  const room: Room = { maxDbs: options.lmdb.maxDbs, mapSize }
  const paddingBlocks = options.paddingBlock ? 1 : 0
  if (options.shadow === undefined) return native(room, paddingBlocks)
  const createFlags = new Map(
    Object.entries(options.shadow.createFlags).map(([dbi, flags]) => [DbiName.fromText(dbi), flags] as const)
  )
  return shadow(room, { dupsortHack: options.shadow.dupsortHack, createFlags }, paddingBlocks)
}
