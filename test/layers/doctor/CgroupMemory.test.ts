/** Limits of memory, from files as the kernel has them. */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import * as CgroupMemory from "../../../src/layers/doctor/CgroupMemory.ts"

const limitOf = Effect.fnUntraced(function* (files: Readonly<Record<string, string>>) {
  const fs = yield* FileSystem.FileSystem
  const root = yield* fs.makeTempDirectoryScoped({ prefix: "cgroup-" })
  for (const [name, text] of Object.entries(files)) {
    yield* fs.makeDirectory(root + name.slice(0, name.lastIndexOf("/")), { recursive: true })
    yield* fs.writeFileString(root + name, text)
  }
  return yield* CgroupMemory.limitBytes(root)
})

layer(NodeServices.layer, { excludeTestServices: true })("the limit of a cgroup", (it) => {
  it.effect("is the lowest of its own and those above, in version 2", () =>
    Effect.gen(function* () {
      const own = { "/proc/self/cgroup": "0::/system.slice/x.service\n" }
      assert.strictEqual(
        yield* limitOf({
          ...own,
          "/sys/fs/cgroup/system.slice/x.service/memory.max": "max\n",
          "/sys/fs/cgroup/system.slice/memory.max": "300000000\n",
          "/sys/fs/cgroup/memory.max": "900000000\n"
        }),
        300_000_000
      )
      assert.strictEqual(
        yield* limitOf({ ...own, "/sys/fs/cgroup/system.slice/x.service/memory.max": "max\n" }),
        undefined
      )
      // As in a container that does not see what is above it.
      assert.strictEqual(
        yield* limitOf({ "/proc/self/cgroup": "0::/../../pod\n", "/sys/fs/cgroup/memory.max": "5000000\n" }),
        5_000_000
      )
    })
  )

  it.effect("is found in version 1, where a huge number is none, and nowhere on other systems", () =>
    Effect.gen(function* () {
      const own = { "/proc/self/cgroup": "3:cpu,cpuacct:/x\n5:memory:/docker/y\n" }
      const file = "/sys/fs/cgroup/memory/docker/y/memory.limit_in_bytes"
      assert.strictEqual(yield* limitOf({ ...own, [file]: "700000000\n" }), 700_000_000)
      assert.strictEqual(yield* limitOf({ ...own, [file]: "9223372036854771712\n" }), undefined)
      assert.strictEqual(yield* limitOf({}), undefined)
    })
  )
})
