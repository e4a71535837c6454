/** The certificates that the system trusts. */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import * as tls from "node:tls"
import { systemAuthorities } from "../../../../src/layers/storage/network/SystemCertificates.ts"

it.effect("are those that node finds, each once", () =>
  Effect.gen(function* () {
    const found = yield* systemAuthorities
    assert.isAbove(found.length, 0)
    assert.deepStrictEqual(found, [...new Set(tls.getCACertificates("system"))])
  })
)
