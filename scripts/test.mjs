/**
 * `npm test`: checks the format, types, Effect's diagnostics and lint, and runs all tests. Each check runs even if an
 * earlier one has failed. The last line is `N passed, N failed`, in which each check counts as one. The exit code is 1
 * if anything failed or nothing ran.
 */
import { spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const root = join(import.meta.dirname, "..")
const bin = join(root, "node_modules", ".bin")
// The tests start hundreds of processes, many of them from source, which Node then need not compile each time.
const compileCache = join(root, "node_modules", ".cache", "compiled")
const env = { NODE_COMPILE_CACHE: compileCache, ...process.env, PATH: `${bin}:${process.env.PATH}` }

const run = (command, args) => {
  console.log(`\n> ${command} ${args.join(" ")}`)
  return spawnSync(command, args, { cwd: root, stdio: "inherit", env }).status === 0
}

// The bindings of these two exist only for some platforms, so they are not dependencies: npm refuses a lock file that
// does not contain all of them.
const checks = [
  ["prettier", ["--check", "."]],
  ["tsc", ["-p", "."]],
  ["npx", ["--yes", "@effect/tsgo@0.45.0", "diagnostics", "--project", "tsconfig.json"]],
  ["npx", ["--yes", "oxlint@1.94.0", "--deny-warnings", "src", "test", "bench", "demo", "scripts"]]
]

let passed = 0
let failed = 0
for (const [command, args] of checks) {
  if (run(command, args)) passed++
  else failed++
}

const folder = mkdtempSync(join(tmpdir(), "lightningstream-test-"))
let skipped = 0
try {
  const report = join(folder, "report.json")
  // Arguments are passed on to vitest: `npm test -- test/domain`.
  const ok = run("vitest", [
    "run",
    "--reporter=default",
    "--reporter=json",
    `--outputFile=${report}`,
    ...process.argv.slice(2)
  ])
  const { numPassedTests, numFailedTests, numPendingTests, numTodoTests, testResults } = JSON.parse(
    readFileSync(report, "utf8")
  )
  // A file that cannot be loaded has no tests to count.
  const broken = testResults.filter((file) => file.status === "failed" && file.assertionResults.length === 0).length
  passed += numPassedTests
  failed += numFailedTests + broken
  skipped = numPendingTests + numTodoTests
  if (!ok && numFailedTests + broken === 0) failed++
} catch (error) {
  console.error(`the tests gave no report: ${error.message}`)
  failed++
} finally {
  rmSync(folder, { recursive: true })
}

if (skipped > 0 && process.env.CI) failed++
console.log(`\n${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`)
process.exit(failed > 0 || passed === 0 ? 1 : 0)
