import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, FileSystem, Redacted, Schema } from "effect"
import * as SettingsYaml from "../../../src/layers/settings/SettingsYaml.ts"
import { Settings } from "../../../src/services/Settings.ts"

const golden = new URL("../../golden/", import.meta.url).pathname

const Expectation = Schema.Struct({
  file: Schema.String,
  outcome: Schema.Literals(["ok", "error"]),
  environment: Schema.optionalKey(Schema.Record(Schema.String, Schema.String)),
  values: Schema.optionalKey(Schema.Record(Schema.String, Schema.Unknown)),
  key: Schema.optionalKey(Schema.String),
  allowed: Schema.optionalKey(Schema.String)
})
const decodeExpectations = Schema.decodeUnknownEffect(
  Schema.fromJsonString(Schema.Struct({ configs: Schema.Array(Expectation) }))
)

/** What our messages say for what expect.json says in its own words. */
const wording: Readonly<Record<string, string>> = {
  "key twice": "the key is there twice",
  "0 or at least 1m": "0 or a duration of at least 1m",
  "at least 1": "an integer, at least 1",
  "a duration with unit": "units: ns, us, ms, s, m, h",
  "octal, at most 0777": "in octal, at most 0777",
  "a map": "expected a map",
  "a size": "a size in bytes",
  "a size such as 1GB; Kb means bits": "(Kb, Mb, Gb … mean bits)",
  "one of debug, info, warning, error, fatal": "one of trace, debug, info, warning, error, fatal",
  "not a persistent flag": "expected persistent flags of a DBI",
  "a map is expected": "expected a map",
  "variable is not set": "the environment variable VEC_NOT_SET is not set",
  "a name that survives in object names: no dot": "a name that survives in object names: not empty, no dot",
  "all three are reported together": ""
}

/** A key of expect.json may be several, the file as a whole, or a variable. */
const startsOf = (key: string): ReadonlyArray<string> =>
  key === ""
    ? ["(the file): "]
    : key === "VEC_NOT_SET"
      ? ["lmdbs.main.path: "]
      : key.split(", ").map((one) => `${one}: `)

const at = (tree: unknown, path: string): unknown =>
  path.split(".").reduce<unknown>((node, key) => (node as Record<string, unknown> | undefined)?.[key], tree)

const loadText = Effect.fnUntraced(
  function* (text: string, options: Partial<SettingsYaml.Options> = {}) {
    const fs = yield* FileSystem.FileSystem
    const file = yield* fs.makeTempFileScoped()
    yield* fs.writeFileString(file, text)
    return yield* SettingsYaml.load({ file, environment: {}, ...options })
  },
  Effect.scoped,
  Effect.provide(NodeServices.layer)
)

const problemsOf = (text: string, options: Partial<SettingsYaml.Options> = {}) =>
  loadText(text, options).pipe(
    Effect.flip,
    Effect.map((error) => (error._tag === "InvalidSettings" ? error.problems : []))
  )

const optionsOf = (text: string) => Effect.map(loadText(text), ({ settings }) => settings.storage.options)

const rest = "lmdbs: {main: {path: /srv/a}}\nstorage: {type: fs, options: {root_path: /srv/b}}\n"
const s3 = (options: string) => `lmdbs: {main: {path: /srv/a}}\nstorage: {type: s3, options: {bucket: b, ${options}}}\n`
const azure = (options: string) =>
  `lmdbs: {main: {path: /srv/a}}\nstorage: {type: azure, options: {container: c, ${options}}}\n`

/** Of a database with this `override_create_flags`. */
const createFlags = (flags: string, more: string) =>
  rest.replace("/srv/a", `/srv/a, dbi_options: {"d.x": {override_create_flags: "${flags}"}}${more}`)

describe("SettingsYaml, golden files", () => {
  it.effect(
    "every file loads with the values, or is refused with the keys and what is allowed, that expect.json has",
    () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const { configs } = yield* decodeExpectations(yield* fs.readFileString(`${golden}config/expect.json`))
        assert.strictEqual(configs.length, 61)
        for (const { allowed = "", environment = {}, file, key = "", outcome, values = {} } of configs) {
          const loading = SettingsYaml.load({ file: golden + file, environment })
          if (outcome === "ok") {
            const encoded = SettingsYaml.encodeSettings((yield* loading).settings)
            for (const [path, value] of Object.entries(values))
              assert.deepStrictEqual(at(encoded, path), value, `${file}: ${path}`)
            continue
          }
          const { problems } = yield* Effect.flip(loading)
          const words = wording[allowed] ?? allowed
          for (const start of startsOf(key)) {
            assert.isTrue(
              problems.some((problem) => problem.startsWith(start) && problem.includes(words)),
              `${file}: ${start} ${words}: ${problems.join("\n")}`
            )
          }
        }
      }).pipe(Effect.provide(NodeServices.layer))
  )
})

describe("SettingsYaml", () => {
  it.effect("provides Settings, the command line's values instead of the file's", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const file = yield* fs.makeTempFileScoped()
      yield* fs.writeFileString(file, `instance: a\n${rest}`)
      const overrides = { instance: "from-flag", "log.level": "debug", only_once: "true" }
      const settings = yield* Settings.pipe(Effect.provide(SettingsYaml.layer({ file, environment: {}, overrides })))
      assert.strictEqual(settings.instance, "from-flag")
      assert.strictEqual(settings.log.level, "debug")
      assert.isTrue(settings.only_once)
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  it.effect("fills in the defaults that depend on the machine", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const directory = yield* fs.makeTempDirectoryScoped()
      const { settings } = yield* loadText(`instance: ''\n${rest}`, { environment: { TMPDIR: directory } })
      assert.isAbove(settings.instance.length, 0)
      assert.strictEqual(settings.spool_directory, directory)
      assert.strictEqual(settings.database_workers, 1)
      assert.strictEqual((yield* loadText(rest)).settings.spool_directory, "/var/tmp")
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  it.effect("0 and empty count as the default where they stand for it", () =>
    Effect.gen(function* () {
      const timeOuts = [
        "init_timeout",
        "idle_conn_timeout",
        "inactivity_timeout",
        "dial_timeout",
        "dial_keep_alive",
        "tls_handshake_timeout",
        "client_timeout"
      ]
      const network = [...timeOuts, "max_idle_conns", "secrets_refresh_interval", "update_marker_force_list_interval"]
        .map((key) => `${key}: 0`)
        .join(", ")
      const zeros = `endpoint_url: '', ${network}, tls: {watch_certs_poll_interval: 0}`
      const ofS3 = yield* optionsOf(s3(`region: '', num_minio_threads: 0, ${zeros}`))
      assert.deepStrictEqual(ofS3, yield* optionsOf(s3("")))
      assert.deepInclude(ofS3, {
        region: "us-east-1",
        endpoint_url: "https://s3.amazonaws.com",
        num_minio_threads: 4,
        client_timeout: Duration.minutes(15)
      })
      const ofAzure = yield* optionsOf(azure(`account_name: a, concurrency: 0, ${zeros}`))
      assert.deepStrictEqual(ofAzure, yield* optionsOf(azure("account_name: a")))
      assert.deepInclude(ofAzure, {
        endpoint_url: "https://a.blob.core.windows.net",
        concurrency: 1,
        secrets_refresh_interval: Duration.seconds(15)
      })
    })
  )

  it.effect("storage.root_path wins over options.root_path, also without options", () =>
    Effect.gen(function* () {
      for (const options of ["", "options: {root_path: /srv/new}, "]) {
        const { settings, warnings } = yield* loadText(
          `lmdbs: {main: {path: /a}}\nstorage: {type: fs, ${options}root_path: /srv/old}\n`
        )
        assert.deepStrictEqual(settings.storage.options, { root_path: "/srv/old" })
        assert.deepStrictEqual(warnings, ["storage.root_path: deprecated: move it to storage.options.root_path"])
      }
    })
  )

  it.effect("memory takes any options and keeps none", () =>
    Effect.gen(function* () {
      const { settings } = yield* loadText(
        "lmdbs: {main: {path: /a}}\nstorage: {type: memory, options: {secret: x, anything: [1]}}\n"
      )
      assert.deepStrictEqual(settings.storage.options, {})
    })
  )

  it.effect("a database without keys lacks its path; null elsewhere is the default", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* problemsOf("lmdbs: {main: }\nstorage: {type: memory}\n"), [
        "lmdbs.main.path: required"
      ])
      const { settings } = yield* loadText(`storage_poll_interval:\nhttp: ~\nsweeper: null\n${rest}`)
      assert.deepStrictEqual(settings.storage_poll_interval, Duration.seconds(1))
    })
  )

  it.effect("text settings keep what looks like a number, a boolean or a time", () =>
    Effect.gen(function* () {
      for (const text of ["no", "0123", "1:30", "2024-01-01", "1e3", "0x10"]) {
        assert.strictEqual((yield* loadText(`instance: ${text}\n${rest}`)).settings.instance, text)
      }
    })
  )

  it.effect("$$ is one $, also in a secret; a $ without a name stays", () =>
    Effect.gen(function* () {
      const { settings } = yield* loadText(s3("access_key: a, secret_key: 'p$$W$ $9'"), { environment: { W: "wrong" } })
      if (settings.storage.type !== "s3") return assert.fail("s3")
      assert.strictEqual(
        settings.storage.options.secret_key && Redacted.value(settings.storage.options.secret_key),
        "p$W$ $9"
      )
    })
  )

  it.effect(
    "an unset variable is named with its key, together with all else, and not in comments; a # in text is no comment",
    () =>
      Effect.gen(function* () {
        const text = `instance: 'a # $NOT_A' # $NOT_B\nlmdb_poll_interval: 1ms\nlmdbs: {main: {path: "$NOT_C/x"}}\n#$NOT_D\nstorage: {type: fs, options: {root_path: "\${NOT_E}"}}\n`
        assert.deepStrictEqual(yield* problemsOf(text), [
          `lmdb_poll_interval: expected a duration of at least 100ms, not "1ms"`,
          "instance: the environment variable NOT_A is not set",
          "lmdbs.main.path: the environment variable NOT_C is not set",
          "storage.options.root_path: the environment variable NOT_E is not set"
        ])
      })
  )

  it.effect(
    "for commands that don't use the bucket, unset variables and missing secrets in storage are no errors, all else is",
    () =>
      Effect.gen(function* () {
        const usesBucket = false
        for (const storage of [
          "type: s3, options: {bucket: $NO, access_key_file: f}",
          "type: $NO",
          "type: azure, options: {container: c, use_shared_key: true, account_name: a}"
        ]) {
          const text = `lmdbs: {main: {path: /a}}\nstorage: {${storage}}\n`
          assert.strictEqual((yield* loadText(text, { usesBucket })).settings.lmdbs.main?.path, "/a", storage)
          assert.isNotEmpty(yield* problemsOf(text), storage)
        }
        assert.deepStrictEqual(
          yield* problemsOf(s3("tyypo: 1, secret_key: $NO").replace("/srv/a", "$PATH_A"), { usesBucket }).pipe(
            Effect.map((problems) => problems.map((problem) => problem.split(": ").slice(0, 2).join(": ")))
          ),
          ["storage.options.tyypo: unknown key", "lmdbs.main.path: the environment variable PATH_A is not set"]
        )
      })
  )

  it.effect("problems of several keys together are reported beside those of single keys", () =>
    Effect.gen(function* () {
      const lmdbs =
        "lmdbs: {a: {path: /srv/x, schema_tracks_changes: yes, dupsort_hack: on, options: {map_size: big}}, b: {path: //srv/x/}, b_: {path: /c}}\n"
      assert.deepStrictEqual(
        (yield* problemsOf(`${lmdbs}storage: {type: fs}\n`)).map((problem) => problem.split(": ")[0]),
        ["lmdbs.a.options.map_size", "lmdbs.a.dupsort_hack", "lmdbs.b.path", "lmdbs.b_", "storage.options.root_path"]
      )
    })
  )

  it.effect("refuses storage options that can't work, by key", () =>
    Effect.gen(function* () {
      const cases: ReadonlyArray<readonly [string, string]> = [
        [s3("access_key_file: /a"), "storage.options.secret_key_file: access_key_file and secret_key_file go together"],
        [s3("endpoint_url: 'http://h/path'"), "storage.options.endpoint_url: expected http://host[:port]"],
        [s3("endpoint_url: h"), "storage.options.endpoint_url: expected http://host[:port]"],
        [
          s3("secrets_refresh_interval: 500ms"),
          "storage.options.secrets_refresh_interval: expected 0 or a duration of at least 1s"
        ],
        [s3("tls: {cert_file: c}"), "storage.options.tls: a client certificate needs both"],
        [s3("tls: {typo: c}"), "storage.options.tls.typo: unknown key"],
        [azure("use_shared_key: false"), "storage.options.account_name: required without endpoint_url"],
        [
          azure("use_shared_key: true, endpoint_url: 'http://h/dev', account_name: a"),
          "storage.options.account_key: use_shared_key needs"
        ],
        [azure("endpoint_url: 'http://h/dev'"), "storage.options.endpoint_url: http:// needs use_shared_key"],
        ["lmdbs: {main: {path: /a}}\nstorage: [s3]\n", "storage: expected a map, not a list"]
      ]
      for (const [text, start] of cases) {
        const problems = yield* problemsOf(text)
        assert.lengthOf(problems, 1, text)
        assert.isTrue(problems[0]?.startsWith(start), problems.join())
      }
      yield* loadText(azure("use_shared_key: true, endpoint_url: 'http://h/dev', account_name: a, account_key: k"))
    })
  )

  it.effect("refuses numbers beyond what is allowed elsewhere in the file, by key", () =>
    Effect.gen(function* () {
      const text =
        "delta_snapshots: sometimes\nfull_snapshot_interval: 999ms\nmerge_lock_duration: 5ms\ndatabase_workers: 0\nsnapshot_compression: xz\nspool_memory: x\nspool_directory: /not/there\n" +
        "sweeper: {retention_days: 0, interval: 0, first_interval: -1s, lock_duration: -1s, release_duration: -1ns}\n" +
        "storage: {type: fs, options: {root_path: /b}, cleanup: {interval: 0s}}\nlmdbs: {main: {path: ''}}\n"
      assert.deepStrictEqual(
        (yield* problemsOf(text)).map((problem) => problem.split(": ")[0]),
        [
          "delta_snapshots",
          "full_snapshot_interval",
          "merge_lock_duration",
          "spool_memory",
          "database_workers",
          "snapshot_compression",
          "lmdbs.main.path",
          "sweeper.retention_days",
          "sweeper.interval",
          "sweeper.first_interval",
          "sweeper.lock_duration",
          "sweeper.release_duration",
          "storage.cleanup.interval",
          "spool_directory"
        ]
      )
    })
  )

  it.effect("secrets are in no message and not in the effective YAML", () =>
    Effect.gen(function* () {
      const keys = "access_key: s3cr3t, secret_key: s3cr3t, tls: {cert: c, key: s3cr3t}"
      const { settings } = yield* loadText(s3(keys))
      const shown = SettingsYaml.effectiveYaml(settings)
      assert.notInclude(shown, "s3cr3t")
      assert.include(shown, "secret_key: <hidden>")
      assert.notInclude(JSON.stringify(settings), "s3cr3t")
      const broken = [
        s3("secret_key: [s3cr3t], access_key: {a: s3cr3t}"),
        s3("password: s3cr3t"),
        s3("endpoint_url: 'http://u:s3cr3t@h'"),
        s3("endpoint_url: 'http://u:@s3cr3t@h'"),
        s3("endpoint_url: 'http://u:/s3cr3t@h'"),
        azure("endpoint_url: 'https://a.example/c?sv=2020&sig=s3cr3t'"),
        azure("endpoint_url: 'https://a.example/c#s3cr3t'"),
        `secret: "s3cr3t\n`,
        "secret: [s3cr3t\nb: s3cr3t }\n",
        "a: {b: s3cr3t]\n",
        'a: b\n"s3cr3t" x\n',
        "a: b\n} s3cr3t\n",
        "a: !s3cr3t\n",
        "a: *s3cr3t\n",
        "%s3cr3t\n---\na: b\n",
        "a: |s3cr3t\n x\n",
        "a: !<s3cr3t>\n",
        "a: !x!s3cr3t y\n"
      ]
      for (const text of broken) assert.notInclude((yield* Effect.flip(loadText(text))).message, "s3cr3t", text)
    })
  )

  it.effect("refuses override_create_flags with which no DBI can be created, and warns where they are not used", () =>
    Effect.gen(function* () {
      const key = "lmdbs.main.dbi_options.d.x.override_create_flags: no DBI can be created with these flags: it has "
      for (const [flags, more, problem] of [
        ["MDB_REVERSEKEY", "", "MDB_REVERSEKEY, which is not supported: write the flags"],
        ["DUPFIXED", "", "MDB_DUPFIXED without MDB_DUPSORT: write the flags"],
        ["INTEGERKEY|INTEGERDUP|REVERSEDUP", "", "MDB_INTEGERDUP|MDB_REVERSEDUP without MDB_DUPSORT"],
        ["DUPSORT", "", "MDB_DUPSORT: set dupsort_hack: true for this database"],
        ["DUPSORT", ", dupsort_hack: false", "MDB_DUPSORT: set dupsort_hack: true"],
        ["0x0c", ", dupsort_hack: true", "MDB_DUPSORT and MDB_INTEGERKEY, whose order"],
        ["DUPSORT DUPFIXED INTEGERDUP", ", dupsort_hack: true", "MDB_DUPSORT and MDB_INTEGERDUP, whose order"],
        ["DUPFIXED", ", schema_tracks_changes: true", "MDB_DUPFIXED without MDB_DUPSORT"]
      ] as const) {
        const [found, ...others] = yield* problemsOf(createFlags(flags, more))
        assert.include(found, key + problem)
        assert.deepStrictEqual(others, [])
      }
      for (const [flags, more] of [
        ["", ""],
        ["INTEGERKEY", ""],
        ["DUPSORT", ", dupsort_hack: true"],
        ["DUPSORT DUPFIXED", ", dupsort_hack: true"]
      ] as const)
        assert.deepStrictEqual((yield* loadText(createFlags(flags, more))).warnings, [])
      const { warnings } = yield* loadText(createFlags("INTEGERKEY", ", schema_tracks_changes: true"))
      assert.lengthOf(warnings, 1)
      assert.include(warnings[0], "lmdbs.main.dbi_options.d.x.override_create_flags: not used")
    })
  )

  it.effect("the effective YAML loads again and is the same", () =>
    Effect.gen(function* () {
      const { settings } = yield* loadText(
        s3("region: r").replace(
          "{main:",
          "{one: {path: /b, dupsort_hack: true, dbi_options: {x: {override_create_flags: 4}}}, main:"
        )
      )
      const again = yield* loadText(SettingsYaml.effectiveYaml(settings))
      assert.deepStrictEqual(again.settings, settings)
    })
  )

  it.effect("warns about values that load and make no sense, by key", () =>
    Effect.gen(function* () {
      const text =
        "sweeper: {lock_duration: 0, retention_days: 1, retention_load_cutoff_duration: 20h}\n" +
        "health: {storage_list: {interval: 1ms, warn_duration: -1s}, start: {warn_duration: 9m}}\n" +
        "lmdbs: {main: {path: /a, options: {file_mask: 420}}}\n" +
        "storage: {type: s3, options: {bucket: b, prefix_folders: yes, access_key: a, tls: {require_client_cert: yes, ca: a, ca_file: b}}, cleanup: {must_keep_interval: -1m}}\n"
      const { settings, warnings } = yield* loadText(text)
      assert.deepStrictEqual(
        warnings.map((warning) => warning.split(": ")[0]),
        [
          "lmdbs.main.options.file_mask",
          "sweeper.lock_duration",
          "sweeper.retention_load_cutoff_duration",
          "storage.options.prefix_folders",
          "storage.options.access_key",
          "storage.options.tls.ca",
          "storage.options.tls.require_client_cert",
          "storage.cleanup.must_keep_interval",
          "health.storage_list.interval",
          "health.storage_list.warn_duration",
          "health.start.warn_duration"
        ]
      )
      assert.deepStrictEqual(settings.sweeper.retention_load_cutoff_duration, Duration.hours(18))
      assert.deepStrictEqual(settings.health.storage_list.interval, Duration.seconds(1))
      assert.deepStrictEqual(settings.storage.cleanup.must_keep_interval, Duration.zero)
    })
  )

  it.effect("warns about a key of Azure that is not used", () =>
    Effect.gen(function* () {
      const account = "account_name: a, account_key: k, account_key_file: /f"
      assert.deepStrictEqual(
        (yield* loadText(azure(account))).warnings.map((warning) => warning.split(": ").slice(0, 2).join(": ")),
        [
          "storage.options.account_key: without use_shared_key",
          "storage.options.account_key_file: without use_shared_key"
        ]
      )
      assert.deepStrictEqual((yield* loadText(azure(`use_shared_key: true, ${account}`))).warnings, [])
    })
  )

  it.effect("spool_directory must be a directory, and should not be in memory", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const file = yield* fs.makeTempFileScoped()
      assert.include(
        (yield* problemsOf(`spool_directory: ${file}\n${rest}`))[0],
        "spool_directory: expected a directory that exists"
      )
      // Of the default only a warning: not every command spools something.
      const { warnings } = yield* loadText(rest, { environment: { TMPDIR: "/not/there" } })
      assert.include(warnings[0], "spool_directory: expected a directory that exists")
      const inMemory = yield* fs.exists("/dev/shm")
      const shared = inMemory
        ? (yield* loadText(`spool_directory: /dev/shm\n${rest}`)).warnings
        : ["spool_directory: /dev/shm is in memory"]
      assert.include(shared[0], "spool_directory: /dev/shm is in memory")
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  it.effect("a file that is not there is refused with its name", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(SettingsYaml.load({ file: "/not/there.yaml", environment: {} }))
      assert.include(error.message, "/not/there.yaml")
      assert.include(error.message, "--config")
    }).pipe(Effect.provide(NodeServices.layer))
  )
})
