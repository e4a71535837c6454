// The entry of the worker threads. Node's compile cache is turned on for each thread.
import module from "node:module"

module.enableCompileCache?.()
await import("../dist/worker.js")
