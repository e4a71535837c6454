/**
 * Headers of the Node that runs this, or of the one that the development install brings: then none need to be
 * downloaded.
 */
import { existsSync } from "node:fs"
import { dirname, join } from "node:path"

/** Where the directory `include` is, or undefined. `root`: of this package. */
export const prefixWithHeaders = (root) => {
  const bundled = join(root, "node_modules", "node", "node_modules", `node-${process.platform}-${process.arch}`)
  return [dirname(dirname(process.execPath)), bundled].find((prefix) =>
    existsSync(join(prefix, "include", "node", "node_api.h"))
  )
}
