/**
 * The module that worker threads run: src/worker.ts by Node's type stripping, or the file that loads the bundle of it.
 */
const entry = import.meta.url.endsWith(".ts") ? "../worker.ts" : "../bin/worker.js"

export const workerEntry = new URL(entry, import.meta.url)
