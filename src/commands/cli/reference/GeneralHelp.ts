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

Without a command, the help is printed. \`${commandName} COMMAND --help\` and
\`${commandName} help COMMAND\` print the help of a command.

Data is written to standard output, logs and errors to standard error. A reader
that closes standard output early (\`… | head\`) does not cause an error. Work that
takes longer than two seconds shows its progress on standard error, if that is a
terminal.
`

export const globalOptions = `
These options may be given before or after the command.
`

/** The chapters before the commands. */
export const before: ReadonlyArray<Chapter> = [
  {
    title: "Spellings of options",
    text: `
An option and its value can be written as \`--flag value\`, \`--flag=value\`,
\`-cVALUE\`, \`-c=VALUE\` or \`-c VALUE\`. Short options can be combined: \`-lt\`,
\`-ld records\`. A switch is on without a value, and off with \`--debug=false\`.
Options may follow arguments, and \`--\` ends the options. An option that requires
a value takes the next argument, whatever it looks like. If an option is given
more than once, the last value is used, except for \`--only-db\`, where all are.
`
  }
]

/** The chapters after the commands. */
export const after: ReadonlyArray<Chapter> = [
  {
    title: "Process numbers",
    text: `
LMDB's reader table identifies processes by their numbers. Containers that share
an LMDB, but number their processes separately, may have processes with the same
number. Give each container another minimum, about 50 apart: \`--minimum-pid 50\`,
\`--minimum-pid 100\`. If the number of the process is smaller, it starts
short-lived processes until the smaller numbers are used up, which takes seconds.
Then it runs the command again as a child, whose number is large enough. The
first process passes signals on to the child, and ends with the child's exit code
(128 plus the number of the signal if the child was killed). A minimum of more
than 200 counts as 200, with a warning.

The environment variable \`LIGHTNINGSTREAM_NO_PID_CHECK=1\` skips this. It is set
for the child.
`
  }
]

export const exitCodes: ReadonlyArray<readonly [code: string, when: string]> = [
  ["0", "Success. For the daemon: it was ended by SIGTERM or SIGINT, and everything was sent"],
  [
    "1",
    "An error, which the log describes: something was left unsent, `--only-once` quarantined a snapshot, an object or a DBI does not exist, a snapshot is corrupt, or the HTTP server cannot listen on its address"
  ],
  [
    "2",
    "Bad usage, or an unusable configuration: all of its mistakes are listed with their key paths, and nothing was opened"
  ],
  ["75", "The command did not end within `--timeout`"],
  [
    "128 + N",
    "Signal N ended the command: 130 for SIGINT, 143 for SIGTERM. A command that downloads or writes first undoes what it has begun"
  ],
  [
    "137",
    'The process killed itself, because it did not end within 10 s, got a second signal, or lost a thread; see docs/operations.md. If the log does not contain "Killing the process", something else killed it with SIGKILL, such as the kernel when memory ran out'
  ]
]
