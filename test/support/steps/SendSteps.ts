/** The steps of a send, at which a test ends the process or lets a store fail (`stepped-daemon.process.ts`). */
export const kinds = ["delta", "snapshot"] as const

export type Kind = (typeof kinds)[number]

/** Steps of the store of an object, in their order. Its update marker is a part of it. */
const stepsOfStore = (kind: Kind) => [
  `before the ${kind} is stored`,
  `while the ${kind} is stored`,
  `after the ${kind} is stored, before its update marker`,
  `after the update marker of the ${kind}, before its store has returned`,
  `after the store of the ${kind} has returned`,
  `after the ${kind} is recorded as sent`
]

/** Steps of the renewal of the pin. */
const stepsOfPin = [
  "before the pages of two states are compared",
  "while the pages of two states are compared",
  "before the pin is renewed"
]

/** Steps of the copy main → shadow. */
const stepsOfCopy = ["before the copy to the shadow is committed", "after the copy to the shadow is committed"]

export const storeSteps: ReadonlyArray<string> = kinds.flatMap(stepsOfStore)

export const stepsOf = (mode: "native" | "shadow"): ReadonlyArray<string> => [
  ...stepsOfPin,
  ...(mode === "shadow" ? stepsOfCopy : []),
  ...storeSteps
]

/** What the process does at its step: nothing, if there is none. */
export interface SteppedOptions {
  readonly bucket: string
  /** Path of the data file. */
  readonly path: string
  readonly mode: "native" | "shadow"
  readonly instance: string
  readonly receiveOnly: boolean
  readonly deltaSnapshots: "auto" | "always"
  readonly step: string | undefined
  readonly action: "kill" | "fail"
  /** The step counts only once this file exists. */
  readonly armFile: string
}

/** A log line of the process. */
export interface SteppedLine {
  readonly level: string
  readonly message: string
  readonly fields: Readonly<Record<string, unknown>>
}
