/**
 * Headless Chromium, controlled through its devtools protocol, to test what a page does and how it looks in a real
 * browser. The Chromium of the system is used, because it is too large to be downloaded for a test. It ends with its
 * scope.
 */
import { Effect, FileSystem, Schema, Stream } from "effect"
import { ChildProcess } from "effect/process"
import { eventually } from "./Eventually.ts"
import * as SystemPrograms from "./SystemPrograms.ts"

class BrowserFailed extends Schema.TaggedError<BrowserFailed>()("BrowserFailed", {
  method: Schema.String,
  detail: Schema.String
}) {}

/** The program, which is searched for in the directories of PATH. */
export const installed = () => SystemPrograms.installed(["chromium", "chromium-browser", "google-chrome"], "chromium")

export interface Screen {
  readonly width: number
  readonly height: number
  readonly isDark?: boolean
  readonly isPhone?: boolean
}

const Message = Schema.fromJsonString(
  Schema.Struct({
    id: Schema.optionalKey(Schema.Finite),
    result: Schema.optionalKey(Schema.Unknown),
    error: Schema.optionalKey(Schema.Struct({ message: Schema.String }))
  })
)

type Parameters = Readonly<Record<string, unknown>>

/** A connection to devtools, with its calls and their results by number. */
const connect = (url: string) =>
  Effect.acquireRelease(
    Effect.callback<WebSocket, BrowserFailed>((resume) => {
      const socket = new WebSocket(url)
      socket.addEventListener("open", () => resume(Effect.succeed(socket)))
      socket.addEventListener("error", () =>
        resume(new BrowserFailed({ method: "connect", detail: `cannot connect to ${url}` }))
      )
    }),
    (socket) => Effect.sync(() => socket.close())
  ).pipe(
    Effect.map((socket) => {
      let last = 0
      return (method: string, params: Parameters = {}, sessionId?: string) =>
        Effect.callback<any, BrowserFailed>((resume) => {
          const id = ++last
          const received = ({ data }: MessageEvent) => {
            const message = Schema.decodeUnknownSync(Message)(data)
            if (message.id !== id) return
            socket.removeEventListener("message", received)
            const { error, result } = message
            resume(
              error === undefined
                ? Effect.succeed(result)
                : Effect.fail(new BrowserFailed({ method, detail: error.message }))
            )
          }
          socket.addEventListener("message", received)
          socket.send(JSON.stringify({ id, method, params, ...(sessionId !== undefined && { sessionId }) }))
        })
    })
  )

const launch = Effect.fnUntraced(function* (program: string) {
  const fs = yield* FileSystem.FileSystem
  const profile = yield* fs.makeTempDirectoryScoped({ prefix: "chromium-" })
  const args = ["--headless=new", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-port=0"]
  // The sandbox of Chromium does not run as root.
  const sandbox = process.getuid?.() === 0 ? ["--no-sandbox"] : []
  const handle = yield* ChildProcess.make(program, [...args, ...sandbox, `--user-data-dir=${profile}`, "about:blank"], {
    stdin: "ignore",
    killSignal: "SIGKILL"
  })
  let url: string | undefined
  const lines: Array<string> = []
  yield* Effect.forkScoped(
    Stream.runForEach(Stream.splitLines(Stream.decodeText(handle.all)), (line) =>
      Effect.sync(() => {
        lines.push(line)
        url ??= /^DevTools listening on (ws:\S+)/.exec(line)?.[1]
      })
    )
  )
  return yield* eventually(
    "Chromium listens",
    Effect.sync(() => url),
    () => lines.join("\n")
  )
})

/** A tab of the browser. */
export const open = Effect.fnUntraced(function* (program: string) {
  const call = yield* connect(yield* launch(program))
  const { targetId } = yield* call("Target.createTarget", { url: "about:blank" })
  const { sessionId } = yield* call("Target.attachToTarget", { targetId, flatten: true })
  const send = (method: string, params?: Parameters) => call(method, params, sessionId)
  /** Returns the value of an expression, or of the promise that it returns. Fails if it throws. */
  const evaluate = (expression: string) =>
    Effect.flatMap(send("Runtime.evaluate", { expression, returnByValue: true, awaitPromise: true }), (answer) =>
      answer.exceptionDetails === undefined
        ? Effect.succeed(answer.result.value)
        : Effect.fail(new BrowserFailed({ method: expression, detail: JSON.stringify(answer.exceptionDetails) }))
    )
  return {
    evaluate,
    goTo: Effect.fnUntraced(function* (url: string, { height, isDark = false, isPhone = false, width }: Screen) {
      const scheme = { name: "prefers-color-scheme", value: isDark ? "dark" : "light" }
      yield* send("Emulation.setEmulatedMedia", { features: [scheme] })
      yield* send("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: isPhone })
      yield* send("Page.navigate", { url })
      yield* eventually(
        `${url} is loaded`,
        Effect.map(evaluate("location.href !== 'about:blank' && document.readyState"), (state) =>
          state === "complete" ? state : undefined
        )
      )
    }),
    /** Returns a screenshot as PNG. */
    screenshot: Effect.map(send("Page.captureScreenshot", { format: "png" }), ({ data }) => Buffer.from(data, "base64"))
  }
})
