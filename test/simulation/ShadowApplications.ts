/**
 * Applications without headers, with daemons in shadow mode. Only the copy knows the time of a change, so there is no
 * model of which version wins for a key that several applications write: all instances must have the same content in
 * main and shadow. For a key that only one application writes, the last write of that application must win, unless it
 * was made while its daemon was not running or was ended before it can have seen the write. In those cases, another
 * version may win.
 */
import { Effect } from "effect"
import * as DbiName from "../../src/domain/lmdb/DbiName.ts"
import * as SettingsTest from "../support/fixtures/SettingsTest.ts"
import { shown } from "../support/fixtures/LastWriteWins.ts"
import { raw } from "../support/fixtures/Environments.ts"
import {
  bytes,
  DUPSORT,
  INTEGERKEY,
  integer,
  put,
  remove,
  removePair,
  shadowContent
} from "../support/fixtures/ShadowEnvironments.ts"
import type { Choices } from "./Choices.ts"
import type { Applications, Fleet, Instance } from "./Simulation.ts"

interface Held {
  /** Entries as `key=value` in hexadecimal, by DBI. */
  readonly main: Readonly<Record<string, ReadonlyArray<string>>>
  readonly shadow: ReturnType<typeof shown>
}

/** An entry, which exists or not. In a DBI without MDB_DUPSORT, a key has at most one value. */
interface Entry {
  readonly number: number
  readonly dbi: string
  readonly flags: number
  readonly key: string
  readonly value: string
}

const choose = (choices: Choices): Entry => {
  const number = choices.below(6)
  const { dbi, flags } = choices.of([
    { dbi: "plain", flags: 0 },
    { dbi: "pairs", flags: DUPSORT },
    { dbi: "numbers", flags: INTEGERKEY }
  ])
  const key = flags === INTEGERKEY ? integer(number, 4) : `k${number}`
  return { number, dbi, flags, key, value: flags === DUPSORT ? choices.of(["v", "w"]) : choices.of(["", "x", "y"]) }
}

const hex = (text: string) => bytes(text).toString("hex")

const shownEntry = ({ key, value }: Entry) => `${hex(key)}=${hex(value)}`

/** Returns the identity of an entry. A transaction contains at most one change per identity. */
const identity = ({ dbi, flags, key, value }: Entry) =>
  JSON.stringify(flags === DUPSORT ? [dbi, key, value] : [dbi, key])

/** Returns the only instance that writes the entry, or undefined if all instances do. */
const ownerOf = ({ instances }: Fleet, { number }: Entry): Instance | undefined =>
  number % 2 === 0 ? undefined : instances[number % instances.length]

const lmdbs = { main: { ...SettingsTest.make().lmdbs["main"]!, schema_tracks_changes: false, dupsort_hack: true } }

export const make = (): Applications => {
  /** The last write of the owner by identity, or undefined if another version may win over it. */
  const certain = new Map<string, { readonly entry: Entry; readonly deleted: boolean } | undefined>()
  const unseen = new Map<Instance, Set<string>>()

  const write = (fleet: Fleet, instance: Instance) => {
    const { choices } = fleet
    const changes = Array.from({ length: 4 }, () => ({ entry: choose(choices), deleted: choices.chance(0.35) })).filter(
      ({ entry }) => (ownerOf(fleet, entry) ?? instance) === instance
    )
    for (const change of changes) {
      const id = identity(change.entry)
      const isUncertain =
        ownerOf(fleet, change.entry) === undefined ||
        instance.daemon === undefined ||
        (certain.has(id) && certain.get(id) === undefined)
      certain.set(id, isUncertain ? undefined : change)
      unseen.set(instance, (unseen.get(instance) ?? new Set()).add(id))
    }
    return instance.environment.application.write((transaction) => {
      for (const {
        deleted,
        entry: { dbi, flags, key, value }
      } of changes) {
        if (!deleted) put(dbi, [[key, value]], flags)(transaction)
        else if (!transaction.dbis().some(({ name }) => name === DbiName.fromText(dbi))) continue
        else if (flags === DUPSORT) removePair(dbi, key, value)(transaction)
        else remove(dbi, key)(transaction)
      }
    })
  }

  const expected = (held: unknown): Held => {
    const { main, shadow } = held as Held
    const mustBe = Object.entries(main).map(([dbi, entries]) => {
      const left = new Set(entries)
      for (const change of certain.values()) {
        if (change?.entry.dbi !== dbi) continue
        const { deleted, entry } = change
        for (const other of left)
          if (entry.flags === DUPSORT ? other === shownEntry(entry) : other.startsWith(`${hex(entry.key)}=`))
            left.delete(other)
        if (!deleted) left.add(shownEntry(entry))
      }
      return [dbi, Array.from(left).sort()] as const
    })
    return { main: Object.fromEntries(mustBe), shadow }
  }

  return {
    settings: { lmdbs },
    write,
    ended: (instance) => {
      for (const id of unseen.get(instance) ?? []) certain.set(id, undefined)
      unseen.delete(instance)
    },
    content: ({ environment }) =>
      Effect.provide(
        Effect.gen(function* () {
          const main = (yield* raw).filter(({ name }) => !DbiName.isPrivate(name))
          return {
            main: Object.fromEntries(
              main.map(({ entries, name }) => [name, entries.map(({ key, value }) => `${key}=${value}`).sort()])
            ),
            shadow: shown(yield* shadowContent)
          } satisfies Held
        }),
        environment.layer,
        { local: true }
      ),
    expected
  }
}
