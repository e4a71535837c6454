/** Which host and which style of address a bucket gets. */
import { assert, describe, it } from "@effect/vitest"
import { endpointOf } from "../../../../src/layers/storage/s3/S3Endpoint.ts"

const of = (endpoint_url: string, bucket = "bucket", region = "us-east-1") => {
  const { pathStyle, target, url } = endpointOf({ endpoint_url, bucket, region })
  return [url.host, pathStyle ? "path" : "host", target.host]
}

describe("StorageS3Endpoint", () => {
  it("addresses by path, but for the hosts of Amazon, Google and Aliyun", () => {
    assert.deepStrictEqual(of("http://127.0.0.1:9000"), ["127.0.0.1:9000", "path", "127.0.0.1:9000"])
    assert.deepStrictEqual(of("https://minio.example"), ["minio.example", "path", "minio.example"])
    assert.deepStrictEqual(of("https://notamazonaws.com"), ["notamazonaws.com", "path", "notamazonaws.com"])
    assert.deepStrictEqual(of("https://s3.eu-west-1.amazonaws.com"), [
      "s3.eu-west-1.amazonaws.com",
      "host",
      "bucket.s3.eu-west-1.amazonaws.com"
    ])
    assert.deepStrictEqual(of("https://s3-eu-west-1.amazonaws.com")[1], "host")
    assert.deepStrictEqual(of("https://s3.cn-north-1.amazonaws.com.cn")[1], "host")
    assert.deepStrictEqual(of("https://storage.googleapis.com")[2], "bucket.storage.googleapis.com")
    assert.deepStrictEqual(of("https://oss-cn-beijing.aliyuncs.com")[2], "bucket.oss-cn-beijing.aliyuncs.com")
  })

  it("a dot in the bucket's name fits no certificate, but does no harm without one", () => {
    assert.deepStrictEqual(of("https://storage.googleapis.com", "my.bucket")[1], "path")
    assert.deepStrictEqual(of("http://storage.googleapis.com", "my.bucket")[1], "host")
  })

  it("s3.amazonaws.com stands for the region's host", () => {
    assert.deepStrictEqual(of("https://s3.amazonaws.com")[0], "s3.us-east-1.amazonaws.com")
    assert.deepStrictEqual(of("https://s3.amazonaws.com", "bucket", "cn-north-1")[0], "s3.cn-north-1.amazonaws.com.cn")
  })

  it("the text for people has no user and no password", () => {
    assert.strictEqual(
      endpointOf({ endpoint_url: "http://u:p@host:1", bucket: "b", region: "r" }).text,
      "http://host:1"
    )
  })
})
