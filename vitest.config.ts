import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/support/BuildBundle.ts"],
    testTimeout: 60_000,
    hookTimeout: 240_000,
    // Tests start workers, processes and servers: more files at once than cores only make each slower.
    maxWorkers: 2
  }
})
