import { fileURLToPath } from "node:url"
import { defineConfig } from "rolldown"

// The worker is an entry of its own: nothing imports it, WorkerPool starts it by URL. Both entries share their common
// chunks. Packages with native parts stay outside; what is imported dynamically (the AWS SDK, the daemon) becomes
// chunks that load when used.
export default defineConfig({
  input: { main: "src/main.ts", worker: "src/worker.ts" },
  platform: "node",
  external: ["lmdb", /^zstd-napi/],
  // Of a package's two forms the one with `import`: what is not used is left out of that one only.
  resolve: {
    mainFields: ["module", "main"],
    conditionNames: ["module", "import", "node", "default"],
    alias: { yaml: fileURLToPath(new URL("node_modules/yaml/browser/index.js", import.meta.url)) }
  },
  treeshake: true,
  output: { dir: "dist", format: "esm", cleanDir: true, minify: true }
})
