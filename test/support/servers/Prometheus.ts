/** Prometheus and its tool, which checks configurations and rules. */
import { execute } from "../Command.ts"
import { install, pathOf } from "./RealServers.ts"

export const installed = () => install({ name: "prometheus", suite: "bookworm", packages: ["prometheus"] })

/** `installedIn`: the directory of the packages. */
export const promtool = (installedIn: string, ...args: ReadonlyArray<string>) =>
  execute(["sh", pathOf("deb-run.sh"), installedIn, "promtool", ...args])
