/**
 * The module that worker threads run: src/worker.ts by Node's type stripping, or the second entry of the bundle, which
 * is JavaScript and beside this one.
 */
export const workerEntry = new URL(import.meta.url.endsWith(".ts") ? "../worker.ts" : "./worker.js", import.meta.url)
