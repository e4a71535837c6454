import { fileURLToPath } from "node:url"
import { defineConfig, type Plugin } from "rolldown"

// An `import` of node:http reads all that it exports, and so loads Node's client for WebSockets, which takes 40 ms.
const nodeHttp: Plugin = {
  name: "node-http",
  resolveId: { filter: { id: /^(node:)?http$/ }, handler: () => "\0node-http" },
  load: {
    filter: { id: /^\0node-http$/ },
    handler: () => {
      const names = Object.keys(process.getBuiltinModule("node:http")).filter(
        (name) => !["WebSocket", "CloseEvent", "MessageEvent"].includes(name)
      )
      return `const http = process.getBuiltinModule("node:http")\nexport default http\nexport const { ${names.join(", ")} } = http\n`
    }
  }
}

// The worker is an entry of its own: nothing imports it, WorkerPool starts it by URL. Both entries share their common
// chunks. Packages with native parts stay outside; what is imported dynamically (the AWS SDK, the daemon) becomes
// chunks that load when used.
export default defineConfig({
  input: { main: "src/main.ts", worker: "src/worker.ts" },
  platform: "node",
  external: ["lmdb", /^zstd-napi/],
  plugins: [nodeHttp],
  // Of a package's two forms the one with `import`: what is not used is left out of that one only.
  resolve: {
    mainFields: ["module", "main"],
    conditionNames: ["module", "import", "node", "default"],
    alias: { yaml: fileURLToPath(new URL("node_modules/yaml/browser/index.js", import.meta.url)) }
  },
  // Azure's client asks each request whether it is a form, and so loads Node's client for `fetch`, which takes 30 ms.
  // None is.
  transform: { define: { FormData: "undefined" } },
  treeshake: true,
  output: { dir: "dist", format: "esm", cleanDir: true, minify: true }
})
