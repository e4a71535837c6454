/** Reads a Dockerfile as far as ours goes. An instruction that is not known is an error: none is passed over. */
export interface Stage {
  readonly from: string
  readonly name: string
  readonly steps: ReadonlyArray<Step>
}

export type Step =
  | { readonly _tag: "Run"; readonly command: string }
  | { readonly _tag: "Copy"; readonly stage: string | undefined; readonly from: string; readonly to: string }
  | { readonly _tag: "Workdir"; readonly path: string }
  | { readonly _tag: "Metadata"; readonly name: string; readonly value: string }

const metadata = new Set(["USER", "VOLUME", "ENTRYPOINT", "CMD"])

const instructions = (text: string): ReadonlyArray<string> =>
  text
    .replaceAll(/^#.*\n/gm, "")
    .replaceAll(/\s*\\\n\s*/g, " ")
    .split("\n")
    .filter((line) => line.trim() !== "")

const stepOf = (name: string, value: string): Step => {
  if (name === "RUN") return { _tag: "Run", command: value }
  if (name === "WORKDIR") return { _tag: "Workdir", path: value }
  if (metadata.has(name)) return { _tag: "Metadata", name, value }
  const copy = /^(?:--from=(\S+) )?(\S+) (\S+)$/.exec(value)
  if (name !== "COPY" || copy === null) throw new Error(`the Dockerfile has what this cannot run: ${name} ${value}`)
  return { _tag: "Copy", stage: copy[1], from: copy[2]!, to: copy[3]! }
}

export const parse = (text: string): ReadonlyArray<Stage> => {
  const stages: Array<{ from: string; name: string; steps: Array<Step> }> = []
  for (const line of instructions(text)) {
    const [, name = "", value = ""] = /^([A-Z]+) +(.*)$/.exec(line) ?? []
    if (name === "FROM") {
      const [from = "", , as] = value.split(" ")
      stages.push({ from, name: as ?? String(stages.length), steps: [] })
    } else stages.at(-1)?.steps.push(stepOf(name, value))
  }
  return stages
}

/** The value of an instruction of which the last one counts. */
export const lastOf = ({ steps }: Stage, name: string): string => {
  const step = steps.findLast((step) => step._tag === "Metadata" && step.name === name)
  if (step?._tag !== "Metadata") throw new Error(`the Dockerfile has no ${name}`)
  return step.value
}

const installing =
  /^apt-get update && apt-get install --yes --no-install-recommends (.*) && rm -rf \/var\/lib\/apt\/lists\/\*$/

/** The Debian packages that a step installs, if that is what it does. */
export const packagesOf = (step: Step): ReadonlyArray<string> | undefined =>
  step._tag === "Run" ? installing.exec(step.command)?.[1]?.split(" ") : undefined
