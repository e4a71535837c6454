/** What a check of `doctor` has found: one line each. */

export interface Finding {
  /** Name of the check, such as `clock`. */
  readonly check: string
  /** Name of the database; undefined where all are meant. */
  readonly database?: string
  readonly level: "ok" | "warning" | "error"
  /** What was found. */
  readonly what: string
  /** Why it matters. Absent where nothing is wrong. */
  readonly why?: string
  /** What to do. Absent where nothing is wrong. */
  readonly todo?: string
}

export const ok = (check: string, what: string): Finding => ({ check, level: "ok", what })

export const warning = (check: string, what: string, why: string, todo: string): Finding => ({
  check,
  level: "warning",
  what,
  why,
  todo
})

export const error = (check: string, what: string, why: string, todo: string): Finding => ({
  check,
  level: "error",
  what,
  why,
  todo
})

/** The same findings, of one database. */
export const of = (database: string, findings: ReadonlyArray<Finding>): ReadonlyArray<Finding> =>
  findings.map((finding) => ({ ...finding, database }))

export const hasErrors = (findings: ReadonlyArray<Finding>): boolean => findings.some(({ level }) => level === "error")

/** On one line, whatever a message has in it. */
const oneLine = (text: string): string => text.replace(/\s*\n\s*/g, " ").trim()

export const text = ({ check, database, level, todo, what, why }: Finding): string => {
  const subject = database === undefined ? check : `${check} of ${database}`
  const parts = [what, why, todo].filter((part) => part !== undefined).map(oneLine)
  return `${level.padEnd(8)} ${subject}: ${parts.join("; ")}\n`
}

export const json = (finding: Finding): string => `${JSON.stringify(finding)}\n`
