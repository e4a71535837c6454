/**
 * How a bucket is addressed, as Lightning Stream's client does it: with the bucket in the path, but for hosts of
 * Amazon, Google and Aliyun, which get it in the host name; not with https and a dot in the bucket's name, where no
 * certificate would fit. `s3.amazonaws.com` stands for the host of the region, which Amazon would otherwise redirect
 * to.
 */
import type { S3Options } from "../../../domain/settings/StorageOptions.ts"

export interface Endpoint {
  /** Without the bucket. */
  readonly url: URL
  readonly pathStyle: boolean
  /** Where connections go: with the bucket in the host name unless `pathStyle`. */
  readonly target: URL
  /** For people; no user or password that somebody may have put into the URL. */
  readonly text: string
}

const amazon = /^(?:.+\.)?s3[.-](?:.*\.)?amazonaws\.com(?:\.cn)?$/

const hasBucketInHost = ({ hostname }: URL) =>
  amazon.test(hostname) || hostname === "storage.googleapis.com" || hostname.endsWith(".aliyuncs.com")

export const endpointOf = ({
  bucket,
  endpoint_url,
  region
}: Pick<S3Options, "bucket" | "endpoint_url" | "region">): Endpoint => {
  const url = new URL(endpoint_url)
  if (url.hostname === "s3.amazonaws.com") {
    url.hostname = `s3.${region}.amazonaws.com${region.startsWith("cn-") ? ".cn" : ""}`
  }
  const pathStyle = !hasBucketInHost(url) || (url.protocol === "https:" && bucket.includes("."))
  const target = new URL(url)
  if (!pathStyle) target.hostname = `${bucket}.${url.hostname}`
  return { url, pathStyle, target, text: `${url.protocol}//${url.host}` }
}
