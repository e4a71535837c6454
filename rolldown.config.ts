import { fileURLToPath } from "node:url"
import type { Plugin, RolldownOptions } from "rolldown"
import { thirdParty } from "./scripts/ThirdParty.ts"

// effect/cli creates a text segmenter when it is loaded, which takes 10 ms of every command's time. It is only needed
// for prompts and tables.
const segmenter = /const graphemeSegmenter = .*new Intl\.Segmenter\(undefined, \{\s*granularity: "grapheme"\s*\}\);/
const lazySegmenter: Plugin = {
  name: "lazy-segmenter",
  transform: {
    filter: { id: /effect\/dist\/cli\/CliOutput\.js$/ },
    handler: (code) => {
      if (!segmenter.test(code))
        throw new Error("effect/cli makes its segmenter in another way: see rolldown.config.ts")
      return code.replace(
        segmenter,
        `const graphemeSegmenter = { segment: (text) => (graphemeSegmenter.made ??= new Intl.Segmenter(undefined, { granularity: "grapheme" })).segment(text) };`
      )
    }
  }
}

/** The settings of all bundles, also of those of the benchmark. Packages with native parts are not bundled. */
export const common = {
  platform: "node",
  external: ["lmdb", /^zstd-napi/],
  plugins: [lazySegmenter, thirdParty],
  // If a package has two forms, the one with `import` is used, because unused code can only be removed from that one.
  resolve: {
    mainFields: ["module", "main"],
    conditionNames: ["module", "import", "node", "default"],
    alias: { yaml: fileURLToPath(new URL("node_modules/yaml/browser/index.js", import.meta.url)) }
  },
  treeshake: true
} satisfies RolldownOptions

export const output = { dir: "dist", format: "esm", minify: true } as const

// Nothing imports the worker: WorkerPool starts it by its URL. It is one file, because a thread that loads the chunks
// of the command starts 30 ms later. Dynamic imports of the command (the AWS SDK, the daemon) become chunks that are
// loaded when they are used.
export default [
  { ...common, input: { worker: "src/worker.ts" }, output: { ...output, cleanDir: true, codeSplitting: false } },
  { ...common, input: { main: "src/main.ts" }, output }
]
