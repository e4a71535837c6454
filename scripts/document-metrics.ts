/** Generates those tables of docs/monitoring.md that describe metrics: `node scripts/document-metrics.ts`. */
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { asLightningStream, ours } from "../src/domain/metrics/MetricFamilies.ts"
import type { MetricFamily } from "../src/domain/metrics/MetricFamily.ts"

const row = ({ help, labels, name, type }: MetricFamily): string =>
  `| \`${name}\` | ${type} | ${labels.map((label) => `\`${label}\``).join(", ")} | ${help} |`

const table = (families: ReadonlyArray<MetricFamily>): string =>
  ["| metric | type | labels | what it is |", "| --- | --- | --- | --- |", ...families.map(row)].join("\n")

const tables: Readonly<Record<string, string>> = {
  "Lightning Stream's metrics": table(Object.values(asLightningStream)),
  "Our metrics": table(Object.values(ours))
}

/** Returns the document with the current table below each of these headings. */
export const documented = (text: string): string =>
  Object.entries(tables).reduce((document, [heading, table]) => {
    const place = new RegExp(`(^#+ ${heading}\n(?:\n(?!\\|).*)*\n)(?:\\|.*\n)*`, "m")
    if (!place.test(document)) throw new Error(`docs/monitoring.md has no heading "${heading}"`)
    return document.replace(place, (_, before: string) => `${before}${table}\n`)
  }, text)

if (import.meta.main) {
  const file = join(import.meta.dirname, "..", "docs", "monitoring.md")
  writeFileSync(file, documented(readFileSync(file, "utf8")))
}
