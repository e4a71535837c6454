/**
 * The direction of dependencies: main and commands → layers → services ← programs, and everybody may use domain.
 * Nothing but commands, main, worker and DatabaseInline joins layers and programs. Read from the import statements.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Path } from "effect"

type Part = "domain" | "services" | "layers" | "programs" | "commands" | "root"

/** What the files of each part may import. */
const allowed: Readonly<Record<Part, ReadonlyArray<Part>>> = {
  domain: ["domain"],
  services: ["domain", "services"],
  layers: ["domain", "services", "layers"],
  programs: ["domain", "services", "programs"],
  commands: ["domain", "services", "layers", "programs", "commands"],
  root: ["domain", "services", "layers", "programs", "commands", "root"]
}

/** The engine runs inside a layer: this one alone joins layer and program. */
const exceptions: ReadonlySet<string> = new Set(["layers/database/DatabaseInline.ts"])

/**
 * What a process needs from its first moment on: these import nothing but modules of Node that it has loaded anyway.
 */
const alwaysThere: ReadonlySet<string> = new Set([
  "layers/process/DefaultSignals.ts",
  "layers/process/EndProcess.ts",
  "layers/process/ZombieReaper.ts"
])

/** Packages that the domain may use besides itself: data types only. */
const domainPackages = /^effect(\/(Brand|Schema|Data|Duration|Effect|Redacted|Schema\w+))?$/

const parts: ReadonlyArray<Part> = ["domain", "services", "layers", "programs", "commands"]

/** The entries of the two kinds of threads. */
const entries = ["main.ts", "worker.ts"]

const partOf = (file: string): Part => parts.find((part) => file.startsWith(`${part}/`)) ?? "root"

/** False for packages, and for package.json. */
const isInSources = (target: string | undefined): target is string => target !== undefined && !target.startsWith("..")

const importsOf = (source: string) =>
  Array.from(source.matchAll(/(?:^import|^export)( type)?[^"';]*?from\s+"([^"]+)"|import\("([^"]+)"\)/gm), (match) => ({
    name: match[2] ?? match[3]!,
    typeOnly: match[1] !== undefined,
    lazy: match[3] !== undefined
  }))

const sources = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const root = path.join(import.meta.dirname, "..", "src")
  const files = (yield* fs.readDirectory(root, { recursive: true })).filter((file) => file.endsWith(".ts"))
  return yield* Effect.forEach(files, (file) =>
    Effect.map(fs.readFileString(path.join(root, file)), (source) => ({
      file,
      source,
      imports: importsOf(source).map(({ lazy, name, typeOnly }) => ({
        lazy,
        name,
        typeOnly,
        target: name.startsWith(".") ? path.join(path.dirname(file), name) : undefined
      }))
    }))
  )
}).pipe(Effect.provide(NodeServices.layer))

const outside = (part: Part) => part === "domain" || part === "services" || part === "programs"

describe("architecture", () => {
  it.effect("imports point one way", () =>
    Effect.gen(function* () {
      const wrong = (yield* sources).flatMap(({ file, imports }) =>
        exceptions.has(file)
          ? []
          : imports
              .filter(({ target }) => isInSources(target) && !allowed[partOf(file)].includes(partOf(target)))
              .map(({ name }) => `${file} imports ${name}`)
      )
      assert.deepStrictEqual(wrong, [])
    })
  )

  it.effect("the root has the entries of the threads, and nothing else", () =>
    Effect.gen(function* () {
      const root = (yield* sources).map(({ file }) => file).filter((file) => partOf(file) === "root")
      assert.deepStrictEqual(root.toSorted(), entries)
    })
  )

  it.effect(
    "a command's file imports no layer and no program before it runs: the help of all commands is printed without them",
    () =>
      Effect.gen(function* () {
        const wrong = (yield* sources)
          .filter(({ file, source }) => file === "main.ts" || source.includes("= defineCommand({"))
          .flatMap(({ file, imports }) =>
            imports
              .filter(
                ({ lazy, target, typeOnly }) =>
                  !lazy &&
                  !typeOnly &&
                  target !== undefined &&
                  !alwaysThere.has(target) &&
                  ["layers", "programs", "services"].includes(partOf(target))
              )
              .map(({ name }) => `${file} imports ${name}`)
          )
        assert.deepStrictEqual(wrong, [])
      })
  )

  it.effect("domain, services and programs know no platform, and the domain no service of effect's", () =>
    Effect.gen(function* () {
      const wrong = (yield* sources).flatMap(({ file, imports }) => {
        const part = partOf(file)
        if (!outside(part)) return []
        return imports
          .filter(
            ({ name, target }) =>
              target === undefined &&
              (part === "domain" ? !domainPackages.test(name) : !/^effect(\/[A-Z]\w*)?$/.test(name))
          )
          .map(({ name }) => `${file} imports ${name}`)
      })
      assert.deepStrictEqual(wrong, [])
    })
  )

  it.effect(
    "clocks, timers, randomness, the environment and the console are used in layers, commands and main only",
    () =>
      Effect.gen(function* () {
        const forbidden = /\b(process\.env|Date\.now|Math\.random|setTimeout|setInterval|console\.|new Promise)\b/
        const wrong = (yield* sources)
          // That one holds the script of a page: it runs in browsers.
          .filter(({ file }) => outside(partOf(file)) && file !== "programs/status/page/Assets.ts")
          .flatMap(({ file, source }) =>
            source
              .split("\n")
              .filter((line) => forbidden.test(line) && !/^\s*(\*|\/\/)/.test(line))
              .map((line) => `${file}: ${line.trim()}`)
          )
        assert.deepStrictEqual(wrong, [])
      })
  )

  it.effect(
    "the main thread of a daemon calls no LMDB: it only looks at the version that the native part was built with",
    () =>
      Effect.gen(function* () {
        const all = new Map((yield* sources).map((source) => [source.file, source]))
        const reached = new Set<string>()
        const reach = (file: string): void => {
          // A dry run is no daemon.
          if (reached.has(file) || file === "commands/DryRun.ts") return
          reached.add(file)
          for (const { target, typeOnly } of all.get(file)?.imports ?? [])
            if (target?.endsWith(".ts") && !typeOnly) reach(target)
        }
        reach("commands/Sync.ts")
        assert.isTrue(reached.has("layers/database/DatabasesWorker.ts"))
        const callers = [...reached].filter((file) =>
          /(?:from|import|resolve|require)\W*"lmdb"/.test(all.get(file)!.source)
        )
        assert.deepStrictEqual(callers, ["layers/lmdb/native/NativeAddon.ts"])
        const source = all.get("layers/lmdb/native/NativeAddon.ts")!.source
        assert.deepStrictEqual(
          Array.from(source.matchAll(/^export .*$/gm), ([line]) => line),
          [
            "export interface ChildTable {",
            "export const { version } = addon",
            "export const children: ChildTable | undefined ="
          ]
        )
      })
  )

  it.effect("durations of the configuration reach Node's timers through timerMillis, which knows their limit", () =>
    Effect.gen(function* () {
      // A timer of more than 24.8 days expires at once. Effect's own sleep has no such limit.
      const users = (yield* sources)
        .filter(({ file, source }) => partOf(file) === "layers" && source.includes("Duration.toMillis("))
        .map(({ file }) => file)
      // The time between two probes of an idle connection is the system's, and no timer.
      assert.deepStrictEqual(users.toSorted(), [
        "layers/storage/network/HttpAgent.ts",
        "layers/storage/network/TimerMillis.ts"
      ])
    })
  )

  it.effect("every source file says what it is for", () =>
    Effect.gen(function* () {
      const wrong = (yield* sources).filter(({ source }) => !source.startsWith("/**")).map(({ file }) => file)
      assert.deepStrictEqual(wrong, [])
    })
  )
})
