/** The permissions in the documents are those of the operations that the S3 layer calls. */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { blocksOf, readText, rowsOf, sourcesIn } from "./Documents.ts"

/** As the documentation of S3 has it: which permission an operation needs. */
const permissions: Readonly<Record<string, string>> = {
  ListObjectsV2: "s3:ListBucket",
  HeadBucket: "s3:ListBucket",
  GetObject: "s3:GetObject",
  PutObject: "s3:PutObject",
  CreateMultipartUpload: "s3:PutObject",
  UploadPart: "s3:PutObject",
  CompleteMultipartUpload: "s3:PutObject",
  AbortMultipartUpload: "s3:AbortMultipartUpload",
  DeleteObject: "s3:DeleteObject",
  CreateBucket: "s3:CreateBucket"
}

interface Statement {
  readonly Effect: string
  readonly Action: string | ReadonlyArray<string>
  readonly Resource: string
  readonly Condition?: unknown
}

const policy = Effect.map(
  readText("docs/security.md"),
  (text): { readonly Version: string; readonly Statement: ReadonlyArray<Statement> } =>
    JSON.parse(blocksOf(text, "json")[0]!)
)

const needed = Effect.map(sourcesIn("layers/storage/s3"), (code) => {
  const operations = new Set(Array.from(code.matchAll(/new (\w+)Command\(/g), ([, name]) => name!))
  return new Set(Array.from(operations, (name) => permissions[name] ?? `of ${name}, which this test does not know`))
})

layer(NodeServices.layer)("the permissions in the documents", (it) => {
  it.effect("docs/operations.md has all that are needed, and no other", () =>
    Effect.gen(function* () {
      const rows = rowsOf(yield* readText("docs/operations.md")).filter(({ section }) =>
        section.startsWith("Permissions of the bucket")
      )
      const listed = rows.flatMap(({ cells }) => cells[1]!.match(/s3:\w+/g) ?? [])
      assert.sameMembers(listed, [...(yield* needed)])
    })
  )

  it.effect("the policy of docs/security.md is one, and allows what an instance needs that does not clean", () =>
    Effect.gen(function* () {
      const { Statement: statements, Version } = yield* policy
      assert.strictEqual(Version, "2012-10-17")
      const allowed = statements.flatMap(({ Action }) => Action)
      // The text has these two.
      const rest = ["s3:DeleteObject", "s3:CreateBucket"]
      assert.sameMembers([...allowed, ...rest], [...(yield* needed)])
      for (const statement of statements) {
        const isOfBucket = [statement.Action].flat().every((action) => action === "s3:ListBucket")
        assert.strictEqual(statement.Effect, "Allow")
        assert.match(statement.Resource, isOfBucket ? /^arn:aws:s3:::\w+$/ : /^arn:aws:s3:::\w+\/powerdns\/\*$/)
        assert.strictEqual(statement.Condition !== undefined, isOfBucket)
      }
    })
  )
})
