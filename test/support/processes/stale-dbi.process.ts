/**
 * Uses a DBI that another process has dropped, through the existing handle and with the package only. Prints what LMDB
 * returns as JSON, and closes the environment. Arguments: the path, and `drop` in the other process.
 */
// @effect-diagnostics-next-line nodeBuiltinImport:off -- no Effect in here
import { spawnSync } from "node:child_process"
import { open } from "lmdb"

const [path, role] = process.argv.slice(2)
const binary = { keyEncoding: "binary", encoding: "binary" } as const
const env = open({ path: path!, noSubdir: true, mapSize: 2 ** 24, maxDbs: 8, overlappingSync: false, ...binary })
const key = Buffer.from("key")

const codeOf = (run: () => unknown): unknown => {
  try {
    return run() ?? null
  } catch (error) {
    return (error as { readonly code?: number }).code
  }
}

if (role === "drop") env.openDB({ name: "dropped", ...binary }).dropSync()
else {
  // Without another DBI, the root would be empty.
  env.openDB({ name: "other", ...binary })
  const dbi = env.openDB({ name: "dropped", ...binary })
  dbi.putSync(key, Buffer.from("value"))
  spawnSync(process.execPath, [import.meta.filename, path!, "drop"], { stdio: "inherit" })
  const put = env.transactionSync(() => codeOf(() => dbi.putSync(key, Buffer.from("again"))))
  process.stdout.write(JSON.stringify({ put }))
}
await env.close()
