/**
 * Derives the address of a bucket as Lightning Stream's client does. The bucket is part of the path, except for hosts
 * of Amazon, Google and Aliyun, where it is part of the host name. With https and a dot in the bucket's name it stays
 * in the path, because no certificate would match the host name. `s3.amazonaws.com` is replaced by the host of the
 * region, to which Amazon would otherwise redirect.
 */
import type { S3Options } from "../../../domain/settings/StorageOptions.ts"

export interface Endpoint {
  /** The URL without the bucket. */
  readonly url: URL
  readonly pathStyle: boolean
  /** The destination of connections, with the bucket in the host name unless `pathStyle`. */
  readonly target: URL
  /** The endpoint for messages, without a user or password that the URL may contain. */
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
