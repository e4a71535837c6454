/**
 * Finds the headers of the Node that runs this script, or of the one that the development dependencies contain, so that
 * they need not be downloaded.
 */
import { existsSync } from "node:fs"
import { dirname, join } from "node:path"

/** Returns the directory that contains `include`, or undefined. `root` is the directory of this package. */
export const prefixWithHeaders = (root) => {
  const bundled = join(root, "node_modules", "node", "node_modules", `node-${process.platform}-${process.arch}`)
  return [dirname(dirname(process.execPath)), bundled].find((prefix) =>
    existsSync(join(prefix, "include", "node", "node_api.h"))
  )
}
