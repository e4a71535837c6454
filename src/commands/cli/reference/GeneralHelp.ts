/**
 * The chapters of docs/cli.md and of the manual page that are not about a single command, in the same light Markdown as
 * the details of commands.
 */
import { commandName } from "../UsageError.ts"

export interface Chapter {
  readonly title: string
  readonly text: string
}

export const summary = "keeps the LMDBs of many servers in sync through an object store"

export const introduction = `
    ${commandName} [options] COMMAND [options] [arguments]

Without a command the help is printed. \`${commandName} COMMAND --help\` and
\`${commandName} help COMMAND\` are the same.

Data goes to standard output, logs and errors to standard error. A reader that
has seen enough (\`… | head\`) is no error. What takes longer than two seconds
shows its progress on standard error, when that is a terminal.
`

export const globalOptions = `
They are taken before the command and after it.
`

/** The chapters before the commands. */
export const before: ReadonlyArray<Chapter> = [
  {
    title: "Spellings of options",
    text: `
\`--flag value\`, \`--flag=value\`, \`-cVALUE\`, \`-c=VALUE\`, \`-c VALUE\`. Short ones
can be joined: \`-lt\`, \`-ld records\`. Switches are on without a value, and take
\`--debug=false\`. Options may come after arguments, and \`--\` ends them. An
option that takes a value takes the next argument, whatever that looks like. Of
an option that is given twice the last one counts, except \`--only-db\`, where
all do.
`
  }
]

/** The chapters after the commands. */
export const after: ReadonlyArray<Chapter> = [
  {
    title: "Process numbers",
    text: `
Containers that share an LMDB, but number their processes each for itself, would
meet in LMDB's table of readers, which goes by process number. Give each
container another minimum, some 50 apart: \`--minimum-pid 50\`,
\`--minimum-pid 100\`. Below that number, short-lived processes are started until
the numbers are used up, which takes seconds; then the command runs once more as
a child, with a number that is large enough. The first process stays, and passes
signals on to it and its exit code back (128 and the signal's number for a child
that was killed). More than 200 counts as 200, with a warning.

The environment variable \`LIGHTNINGSTREAM_NO_PID_CHECK=1\` skips this; the child
has it.
`
  }
]

export const exitCodes: ReadonlyArray<readonly [code: string, when: string]> = [
  ["0", "Done. For the daemon also: ended by SIGTERM or SIGINT, and everything was sent"],
  [
    "1",
    "An error, which the log names: something was left unsent, `--only-once` quarantined a snapshot, an object or a DBI is not there, a snapshot is corrupt, the HTTP address cannot be listened on"
  ],
  [
    "2",
    "Bad usage, or a configuration that cannot be used: everything that is wrong with it is listed, with key paths, and nothing was opened"
  ],
  ["75", "`--timeout`"],
  [
    "128 + N",
    "Signal N ended it: 130 SIGINT, 143 SIGTERM. A command that downloads or writes undoes first what it has begun"
  ],
  [
    "137",
    'It killed itself: it did not end within 10 s, got a second signal, or lost a thread; see docs/operations.md. Without "Killing the process" in the log something else killed it with SIGKILL, such as the kernel for want of memory'
  ]
]
