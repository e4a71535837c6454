/**
 * Observes entries that are written to one of two LMDBs and arrive in the other. It only reads the LMDBs themselves, so
 * it sees what an application sees. The time of an entry is that in its header, which its writer has set.
 */
import { Clock, Effect } from "effect"
import * as Bare from "../bench/BareLmdb.ts"

export const dbiName = "demo"

/** Size of the map in bytes, up to which the application wants the file to grow. */
export const mapSize = 2 ** 30

export interface Side {
  readonly name: string
  readonly path: string
}

export interface Arrival {
  readonly key: string
  readonly text: string
  /** Undefined if both sides already had the entry when it was first seen, which may be late on a busy machine. */
  readonly route: { readonly from: string; readonly to: string } | undefined
  /** Time from that in the entry's header until the arrival was seen, in milliseconds. */
  readonly millis: number
}

interface Entry {
  readonly text: string
  readonly timestampNano: bigint
  /** Index of the side that had it first, and the number of the look that found it. */
  readonly from: number
  readonly look: number
}

interface Watched extends Side {
  readonly environment: Bare.Environment
  readonly dbi: Bare.Dbi
}

const headerBytes = 24

/** Opens the LMDB of a side. Creates the file and the DBI if they do not exist. */
const open = (side: Side): Watched => {
  const environment = Bare.open(side.path, mapSize)
  return { ...side, environment, dbi: Bare.openDbi(environment, dbiName, true) }
}

const entriesOf = ({
  dbi,
  environment
}: Watched): ReadonlyArray<readonly [string, { readonly text: string; readonly timestampNano: bigint }]> => {
  environment.resetReadTxn()
  const { keyStart, seen } = Bare
  const entries: Array<readonly [string, { readonly text: string; readonly timestampNano: bigint }]> = []
  for (const _ of dbi.getRange({ start: undefined })) {
    const value = Buffer.from(seen.value.subarray(0, seen.valueEnd))
    entries.push([
      Buffer.from(seen.key.subarray(keyStart, seen.keyEnd)).toString(),
      { text: value.subarray(headerBytes).toString(), timestampNano: value.readBigUInt64BE(0) }
    ])
  }
  return entries
}

/** Time between two looks. */
const between = "5 millis"

export class Arrivals {
  private readonly sides: readonly [Watched, Watched]
  /** The newest entry of each key, and whether it has arrived. */
  private readonly newest = new Map<string, Entry & { arrived: boolean }>()
  private readonly queue: Array<Arrival> = []
  private looks = 0

  constructor(a: Side, b: Side) {
    this.sides = [open(a), open(b)]
  }

  private look(now: bigint): void {
    const look = this.looks++
    this.sides.forEach((side, index) => {
      for (const [key, { text, timestampNano }] of entriesOf(side)) {
        const known = this.newest.get(key)
        if (known === undefined || timestampNano > known.timestampNano) {
          this.newest.set(key, { text, timestampNano, from: index, look, arrived: false })
        } else if (!known.arrived && known.from !== index && known.timestampNano === timestampNano) {
          known.arrived = true
          const route = known.look === look ? undefined : { from: this.sides[known.from]!.name, to: side.name }
          this.queue.push({ key, text, route, millis: Number(now - timestampNano) / 1e6 })
        }
      }
    })
  }

  /** Waits for the next arrival. */
  get next(): Effect.Effect<Arrival> {
    return Effect.gen({ self: this }, function* () {
      for (;;) {
        const arrival = this.queue.shift()
        if (arrival !== undefined) return arrival
        this.look(yield* Clock.currentTimeNanos)
        if (this.queue.length === 0) yield* Effect.sleep(between)
      }
    })
  }
}
