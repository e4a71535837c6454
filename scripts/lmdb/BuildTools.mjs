/**
 * Checks the programs that compile a native package. They are tried before anything is compiled, so that a missing one
 * is reported in one sentence and not in a log of node-gyp.
 */
import { spawnSync } from "node:child_process"

const works = (command, ...args) => {
  // CXX="ccache g++" is a program with an argument.
  const [program, ...before] = command.split(" ").filter((word) => word !== "")
  return program !== undefined && spawnSync(program, [...before, ...args], { stdio: "ignore" }).status === 0
}

const isPython3 = "import sys; sys.exit(sys.version_info[0] != 3)"

/** The programs that make and node-gyp use, which the environment can change. */
const tools = ({ CC = "cc", CXX = "g++", MAKE = "make", PYTHON, npm_config_python: python = PYTHON }) => [
  { what: `C++ compiler (${CXX})`, isThere: () => works(CXX, "--version") },
  { what: `C compiler (${CC})`, isThere: () => works(CC, "--version") },
  { what: `make (${MAKE})`, isThere: () => works(MAKE, "--version") },
  {
    what: `Python 3 (${python ?? "python3"})`,
    isThere: () =>
      (python === undefined ? ["python3", "python"] : [python]).some((name) => works(name, "-c", isPython3))
  }
]

/** Returns the names of the missing programs. */
export const missingTools = (environment) =>
  tools(environment)
    .filter(({ isThere }) => !isThere())
    .map(({ what }) => what)

const packages = {
  "Debian, Ubuntu": "apt-get install g++ make python3",
  "Fedora, RHEL": "dnf install gcc-c++ make python3",
  Alpine: "apk add g++ make python3"
}

/** The commands that install the programs, by distribution. */
export const howToInstall = Object.entries(packages)
  .map(([distribution, command]) => `${distribution}: ${command}`)
  .join("; ")
