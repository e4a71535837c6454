#!/usr/bin/env node
// The command: checks the runtime before anything that an older one cannot even parse is loaded, and turns Node's
// compile cache on.
import module from "node:module"

const needed = 24
if (Number(process.versions.node.split(".")[0]) < needed) {
  process.stderr.write(
    `lightningstream needs Node.js ${needed} or later; this is ${process.versions.node} (${process.execPath})\n`
  )
  process.exit(1)
}
module.enableCompileCache?.()
const { run } = await import("../dist/main.js")
run()
