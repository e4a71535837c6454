/**
 * The types of errors in the metrics of S3 and Azure, and the kinds of objects whose bytes are counted. That the calls
 * are counted, real servers show: test/interop.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Metric, Stream } from "effect"
import * as MetricsPrometheus from "../../../src/layers/metrics/MetricsPrometheus.ts"
import * as StorageMemory from "../../../src/layers/storage/StorageMemory.ts"
import { markerName } from "../../../src/layers/storage/StorageUpdateMarker.ts"
import * as StorageMeter from "../../../src/layers/storage/StorageMeter.ts"
import { errorTypeOf } from "../../../src/layers/storage/StorageMeter.ts"
import { Metrics } from "../../../src/services/Metrics.ts"
import {
  ObjectNotFound,
  Refused,
  Storage,
  StorageError,
  Unavailable,
  WrongSize
} from "../../../src/services/Storage.ts"

const of = (reason: StorageError["reason"]) =>
  errorTypeOf(new StorageError({ operation: "list", place: "", name: "", reason }))

const unavailable = (code: string) => of(new Unavailable({ code, detail: "" }))
const refused = (code: string) => of(new Refused({ code, detail: "", advice: "" }))

describe("the type of an error", () => {
  it("is what Lightning Stream calls it, or the code of the server", () => {
    assert.strictEqual(of(new ObjectNotFound()), "NotFound")
    assert.strictEqual(of(new WrongSize({ expected: 1, actual: 2 })), "Unknown")
    for (const code of ["Timeout", "ETIMEDOUT"]) assert.strictEqual(unavailable(code), "Timeout")
    for (const code of ["ENOTFOUND", "EAI_AGAIN"]) assert.strictEqual(unavailable(code), "DNSError")
    for (const code of ["ECONNREFUSED", "ECONNRESET", "EPIPE", "ERR_PROXY_TUNNEL", "UND_ERR_SOCKET"]) {
      assert.strictEqual(unavailable(code), "URLError", code)
    }
    for (const code of ["CERT_HAS_EXPIRED", "UNABLE_TO_VERIFY_LEAF_SIGNATURE", "EPROTO"]) {
      assert.strictEqual(refused(code), "URLError", code)
    }
    for (const code of ["SlowDown", "503", "InternalError"]) assert.strictEqual(unavailable(code), code)
    for (const code of ["AccessDenied", "NoSuchBucket", "403", "AuthenticationFailed"])
      assert.strictEqual(refused(code), code)
    assert.strictEqual(unavailable(""), "Unknown")
  })
})

describe("bytes", () => {
  it.effect("are counted by the kind of their object", () =>
    Effect.gen(function* () {
      const storage = yield* Storage
      const store = (name: string, size: number) =>
        storage.store(name, { size, read: (start, end) => Stream.succeed(new Uint8Array(end - start)) })
      yield* store("main__a__20240229-235959-000000000__GX__D1.pb.gz", 100)
      yield* store("main__a__20240229-235959-000000000__GX__F20240229-235958-000000000.pbd.gz", 20)
      yield* store("main__a__20240229-235959-000000000__GX.pbd.gz", 3)
      yield* store(markerName, 4)
      const exposition = yield* (yield* Metrics).expose(Effect.void)
      for (const [kind, bytes] of Object.entries({ snapshot: 100, delta: 20, other: 3, marker: 4 })) {
        const line = `lightningstream_storage_bytes_total{direction="up",kind="${kind}"} ${bytes}`
        assert.include(exposition, line)
      }
    }).pipe(
      Effect.provide(
        Layer.mergeAll(StorageMeter.layer.pipe(Layer.provide(StorageMemory.layer)), MetricsPrometheus.layer)
      ),
      Effect.provideService(Metric.MetricRegistry, new Map())
    )
  )
})
