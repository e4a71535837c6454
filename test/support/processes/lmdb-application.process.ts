/**
 * The application, as a separate process. It receives commands over the IPC channel, one at a time, and executes them
 * with the package `lmdb` itself. LmdbApplication.ts starts it.
 */
import { open } from "lmdb"
import { packageFlags } from "./PackageFlags.ts"
import type { Command, Opening, Reply, Step } from "../fakes/LmdbApplication.ts"

// The type declarations of the package are incomplete.
type Anything = any

const opening: Opening = JSON.parse(process.argv[2]!)
const env: Anything = open({
  path: opening.path,
  noSubdir: true,
  mapSize: opening.mapSize,
  maxReaders: opening.maxReaders ?? 126,
  maxDbs: 64,
  keyEncoding: "binary",
  encoding: "binary",
  overlappingSync: false
})

const binary = { keyEncoding: "binary", encoding: "binary" } as const
const bytes = (hex: string) => Buffer.from(hex, "hex")

const dbi = (name: string): Anything => env.openDB({ name, create: false, ...binary })

const take = (step: Step): void => {
  if (step.do === "create") {
    // Without "binary", the package would sort by its own comparison function.
    env.openDB({ name: step.dbi, create: true, ...packageFlags(step.flags), ...binary })
  } else if (step.do === "put") dbi(step.dbi).putSync(bytes(step.key), bytes(step.value))
  else if (step.do === "remove") dbi(step.dbi).removeSync(bytes(step.key))
  else if (step.do === "drop") dbi(step.dbi).dropSync()
  else if (step.do === "fill") {
    const target = dbi(step.dbi)
    for (let i = 0; i < step.entries; i++)
      target.putSync(Buffer.from(String(i).padStart(8, "0")), Buffer.alloc(step.bytes, i))
  } else env.putSync(bytes(step.key), bytes(step.value))
}

const lastId = (): string => String(env.getStats().lastTxnId)

/** Commits as fast as possible. Each commit writes its own id. */
const count = (name: string, millis: number): void => {
  const target = dbi(name)
  const end = performance.now() + millis
  while (performance.now() < end) {
    env.transactionSync(() => {
      target.putSync(Buffer.from("id"), Buffer.from(String(env.getWriteTxnId())))
    })
  }
}

let letGo: () => void = () => {}
let held: Promise<void> = Promise.resolve()

// @effect-diagnostics-next-line asyncFunction:off -- no Effect in here: it stands for somebody else's program
const run = async (command: Command): Promise<Reply> => {
  switch (command.do) {
    case "write":
      env.transactionSync(() => command.steps.forEach(take))
      return { id: lastId(), entries: [] }
    case "hold":
      held = env.transactionSync(() => {
        const { promise, resolve } = Promise.withResolvers<void>()
        letGo = resolve
        return promise
      })
      return { id: lastId(), entries: [] }
    case "holdFor": {
      env.transactionSync(() => {
        process.send!({ id: "held", entries: [] } satisfies Reply)
        const end = performance.now() + command.millis
        while (performance.now() < end);
        command.steps?.forEach(take)
      })
      return { id: lastId(), entries: [] }
    }
    case "letGo":
      letGo()
      await held
      return { id: lastId(), entries: [] }
    case "count":
      process.send!({ id: "counting", entries: [] } satisfies Reply)
      count(command.dbi, command.millis)
      return { id: lastId(), entries: [] }
    case "view":
      env.resetReadTxn()
      env.useReadTransaction()
      return { id: lastId(), entries: [] }
    case "compact":
      await env.backup(command.to, true)
      return { id: lastId(), entries: [] }
    case "list": {
      const entries: Array<[string, string]> = []
      for (const { key, value } of dbi(command.dbi).getRange({ start: undefined }))
        entries.push([key.toString("hex"), value.toString("hex")])
      return { id: lastId(), entries }
    }
  }
}

process.on("message", (command: Command) => {
  run(command).then(
    (reply) => process.send!(reply),
    (error: unknown) => process.send!({ id: "", entries: [], error: String(error) } satisfies Reply)
  )
})
process.on("disconnect", () => process.exit(0))
process.send!({ id: lastId(), entries: [] } satisfies Reply)
