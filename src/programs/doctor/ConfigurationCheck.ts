/** Reports the warnings of the configuration. A configuration with mistakes ends every command before this check. */
import { type Finding, ok, warning } from "./Finding.ts"

const check = "configuration"

export const findings = (file: string, warnings: ReadonlyArray<string>): ReadonlyArray<Finding> =>
  warnings.length === 0
    ? [ok(check, `${file} can be used`)]
    : warnings.map((text) =>
        warning(check, text, "the daemon starts, but may not behave as intended", `check that key in ${file}`)
      )
