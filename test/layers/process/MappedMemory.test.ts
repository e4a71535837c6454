import { assert, describe, it } from "@effect/vitest"
import { parse } from "../../../src/layers/process/MappedMemory.ts"

const smaps = `7f0000000000-7f0000100000 rw-s 00000000 fe:01 12345                      /srv/a b/main.lmdb
Size:               1024 kB
Rss:                  12 kB
Pss_Dirty:             4 kB
VmFlags: rd wr sh mr mw me ms sd
7f0000100000-7f0000200000 rw-p 00000000 00:00 0
Size:               1024 kB
Rss:                 100 kB
7f0000200000-7f0000300000 rw-s 00000000 fe:01 12345                      /srv/a b/main.lmdb (deleted)
Rss:                   3 kB
7f0000300000-7f0000400000 rw-s 00000000 fe:01 12346                      /srv/a b/main.lmdb-lock
Rss:                   7 kB
`

describe("MappedMemory", () => {
  it("sums what is mapped of a file, in bytes", () => {
    assert.deepStrictEqual(
      parse(smaps),
      new Map([
        ["/srv/a b/main.lmdb", { size: 1024 * 1024, rss: 15 * 1024, pss_dirty: 4096 }],
        ["/srv/a b/main.lmdb-lock", { rss: 7 * 1024 }]
      ])
    )
  })
})
