/**
 * Selects the proxy for a store by the rules of Go's net/http, so that an environment that worked with the reference
 * implementation works here: HTTP_PROXY for http and HTTPS_PROXY for https, upper case before lower case, and no proxy
 * for localhost and loopback addresses. NO_PROXY is a list of `*`, addresses, networks (10.0.0.0/8) and domains
 * (example.com includes its subdomains, .example.com consists of them only), each with an optional port. Node's agents
 * also read NO_PROXY, but support neither networks nor subdomains.
 */
import { Config, Effect } from "effect"
import * as net from "node:net"

export interface ProxyEnvironment {
  readonly http: string
  readonly https: string
  readonly no: string
}

/** Empty when the variable is not set. */
const variable = (name: string) =>
  Config.all([
    Config.String(name).pipe(Config.withDefault("")),
    Config.String(name.toLowerCase()).pipe(Config.withDefault(""))
  ]).pipe(Config.map(([upper, lower]) => upper || lower))

export const proxyEnvironment: Effect.Effect<ProxyEnvironment> = Effect.orDie(
  Effect.gen(function* () {
    return {
      http: yield* variable("HTTP_PROXY"),
      https: yield* variable("HTTPS_PROXY"),
      no: yield* variable("NO_PROXY")
    }
  })
)

const defaultPorts: Readonly<Record<string, string>> = { "http:": "80", "https:": "443" }

const isLoopback = (host: string) => {
  if (host === "localhost" || host === "::1") return true
  return net.isIPv4(host) && host.startsWith("127.")
}

const networkHas = (entry: string, host: string): boolean => {
  const [address = "", bits = ""] = entry.split("/")
  const family = net.isIP(address)
  if (family === 0 || family !== net.isIP(host) || !/^\d{1,3}$/.test(bits) || Number(bits) > (family === 4 ? 32 : 128))
    return false
  const list = new net.BlockList()
  const type = family === 4 ? "ipv4" : "ipv6"
  list.addSubnet(address, Number(bits), type)
  return list.check(host, type)
}

/** Splits `name`, `name:port` or `[address]:port`. An IPv6 address without brackets has no port. */
const splitPort = (entry: string): readonly [host: string, port: string | undefined] => {
  const parts = /^(?:\[(.*)\]|([^:]*))(?::(\d+))?$/.exec(entry)
  return parts === null ? [entry, undefined] : [parts[1] ?? parts[2] ?? "", parts[3]]
}

const bypasses = (entry: string, host: string, port: string): boolean => {
  if (entry.includes("/")) return networkHas(entry, host)
  const [name, only] = splitPort(entry)
  if (name === "" || (only !== undefined && only !== port)) return false
  if (net.isIP(name) !== 0) return name === host
  const domain = name.startsWith("*.") ? name.slice(1) : name
  return domain.startsWith(".") ? host.endsWith(domain) : host === domain || host.endsWith(`.${domain}`)
}

/**
 * Returns the URL of the proxy, or undefined for a direct connection. The URL may contain a password and must not be
 * logged.
 */
export const proxyOf = (target: URL, environment: ProxyEnvironment): string | undefined => {
  const proxy = target.protocol === "https:" ? environment.https : environment.http
  const host = target.hostname.replace(/^\[|\]$/g, "").toLowerCase()
  if (proxy === "" || isLoopback(host)) return undefined
  const port = target.port || (defaultPorts[target.protocol] ?? "")
  const entries = environment.no
    .toLowerCase()
    .split(",")
    .map((entry) => entry.trim())
  if (entries.some((entry) => entry === "*" || bypasses(entry, host, port))) return undefined
  return proxy.includes("://") ? proxy : `http://${proxy}`
}
