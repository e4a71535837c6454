/** Permissions of new files and directories, in octal as YAML 1.1 writes it (`0640`), at most 0777. */
import { Schema } from "effect"
import * as YamlScalar from "./YamlScalar.ts"

export const expected = "a file mode in octal, at most 0777, such as 0640 (the zero before it makes it octal)"

export const format = (mode: number): string => `0${mode.toString(8)}`

/** A number without a leading zero is decimal, as in Lightning Stream: 644 is above 0777 and refused, 420 is 0644. */
export const FileMode = YamlScalar.setting({
  type: Schema.Int,
  expected,
  read: (scalar) => {
    const mode = YamlScalar.integerOf(scalar)
    return mode !== undefined && mode >= 0n && mode <= 0o777n ? Number(mode) : undefined
  },
  write: (mode) => mode
})
