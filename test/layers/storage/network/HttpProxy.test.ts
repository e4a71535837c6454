/** The rules of Go's net/http for proxies. */
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect } from "effect"
import { proxyEnvironment, proxyOf } from "../../../../src/layers/storage/network/HttpProxy.ts"

const environment = { http: "http://plain:1", https: "https://secure:2", no: "" }
const isProxied = (target: string, no: string) => proxyOf(new URL(target), { ...environment, no }) !== undefined

describe("StorageProxy", () => {
  it("takes the proxy of the scheme, http:// when it says none", () => {
    assert.strictEqual(proxyOf(new URL("http://s3.example"), environment), "http://plain:1")
    assert.strictEqual(proxyOf(new URL("https://s3.example"), environment), "https://secure:2")
    assert.strictEqual(
      proxyOf(new URL("http://s3.example"), { ...environment, http: "plain:3128" }),
      "http://plain:3128"
    )
    assert.isUndefined(proxyOf(new URL("https://s3.example"), { ...environment, https: "" }))
  })

  it("never proxies localhost and loopback addresses", () => {
    for (const host of ["localhost", "LOCALHOST:9000", "127.0.0.1", "127.8.9.1:80", "[::1]", "[::1]:9000"]) {
      assert.isFalse(isProxied(`http://${host}`, ""), host)
    }
    assert.isTrue(isProxied("http://127.example.org", ""))
  })

  it("NO_PROXY knows all, names, subdomains, addresses, networks and ports", () => {
    const direct: ReadonlyArray<readonly [target: string, no: string]> = [
      ["http://s3.example", "*"],
      ["http://s3.example", "other, s3.example"],
      ["http://S3.Example", "s3.EXAMPLE"],
      ["http://a.b.s3.example", "s3.example"],
      ["http://a.s3.example", ".s3.example"],
      ["http://a.s3.example", "*.s3.example"],
      ["http://s3.example", "s3.example:80"],
      ["https://s3.example", "s3.example:443"],
      ["http://s3.example:9000", "s3.example:9000"],
      ["http://10.1.2.3", "10.0.0.0/8"],
      ["http://10.1.2.3:9000", "10.1.2.3"],
      ["http://[fd00::5]", "fd00::/8"],
      ["http://[fd00::5]:9000", "[fd00::5]:9000"],
      ["http://[fd00::5]", "fd00::5"]
    ]
    for (const [target, no] of direct) assert.isFalse(isProxied(target, no), `${target} ${no}`)
    const proxied: ReadonlyArray<readonly [target: string, no: string]> = [
      ["http://s3.example", ""],
      ["http://s3.example", ".s3.example"],
      ["http://s3.example", "*.s3.example"],
      ["http://xs3.example", "s3.example"],
      ["http://s3.example", "s3.example:9000"],
      ["http://11.1.2.3", "10.0.0.0/8"],
      ["http://10.1.2.3", "10.0.0.0/99"],
      ["http://10.1.2.3", "fd00::/8"],
      ["http://s3.example", ":80"]
    ]
    for (const [target, no] of proxied) assert.isTrue(isProxied(target, no), `${target} ${no}`)
  })

  it.effect("upper case wins over lower case, and empty is not set", () =>
    Effect.gen(function* () {
      const env = { HTTP_PROXY: "upper", http_proxy: "lower", HTTPS_PROXY: "", https_proxy: "lower" }
      const found = yield* proxyEnvironment.pipe(Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env }))))
      assert.deepStrictEqual(found, { http: "upper", https: "lower", no: "" })
    })
  )
})
