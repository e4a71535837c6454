import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted, Schema } from "effect"
import { Scalar } from "../../../../src/domain/settings/values/YamlScalar.ts"
import {
  Endpoint,
  EndpointWithPath,
  integerAtLeast,
  isDatabaseName,
  parseListenAddress,
  Secret
} from "../../../../src/domain/settings/values/SettingValues.ts"

describe("SettingValues", () => {
  it("addresses to listen on", () => {
    assert.deepStrictEqual(parseListenAddress("127.0.0.1:8500"), { host: "127.0.0.1", port: 8500 })
    assert.deepStrictEqual(parseListenAddress(":8500"), { host: "", port: 8500 })
    assert.deepStrictEqual(parseListenAddress("[::1]:80"), { host: "::1", port: 80 })
    assert.deepStrictEqual(parseListenAddress("host.example:0"), { host: "host.example", port: 0 })
    for (const text of ["localhost", "::1:80", "h:65536", "h:", "h:x", "[::1]", "a b:1", "http://h:1", ""])
      assert.isUndefined(parseListenAddress(text), text)
  })

  it("database names that can be read back from object names", () => {
    for (const name of ["main", "My DB", "main-2", "_a", "a_b"]) assert.isTrue(isDatabaseName(name), name)
    for (const name of ["", "a.b", "a/b", "a__b", "a_", "_", "a\n", "a\u009b"])
      assert.isFalse(isDatabaseName(name), name)
  })

  it.effect("endpoints are http or https, without credentials; a path only where one may be", () =>
    Effect.gen(function* () {
      for (const text of ["", "http://h", "https://h:9000/", "http://127.0.0.1:9000", "HTTP://h"])
        yield* Schema.decodeUnknownEffect(Endpoint)(text)
      for (const text of ["h", "ftp://h", "http://", "http://u:p@h", "http://h/p", "http://h?q"])
        yield* Effect.flip(Schema.decodeUnknownEffect(Endpoint)(text))
      yield* Schema.decodeUnknownEffect(EndpointWithPath)("http://h:10000/devstoreaccount1")
      yield* Effect.flip(Schema.decodeUnknownEffect(EndpointWithPath)("http://u@h/p"))
    })
  )

  it.effect("integers are whole, safe, and not quoted", () =>
    Effect.gen(function* () {
      const decode = Schema.decodeUnknownEffect(integerAtLeast(1))
      assert.strictEqual(yield* decode(new Scalar("1e3")), 1000)
      for (const scalar of [new Scalar("0"), new Scalar("1.5"), new Scalar("9007199254740993"), new Scalar("2", false)])
        yield* Effect.flip(decode(scalar))
    })
  )

  it.effect("a secret is never shown, not even when encoded", () =>
    Effect.gen(function* () {
      const secret = yield* Schema.decodeUnknownEffect(Secret)(new Scalar("s3cr3t"))
      assert.strictEqual(Redacted.value(secret), "s3cr3t")
      assert.notInclude(JSON.stringify(secret) + String(secret), "s3cr3t")
      assert.strictEqual(yield* Schema.encodeEffect(Secret)(secret), "<hidden>")
    })
  )
})
