/** The messages between the thread of a task and the main thread, which are plain data. */
import type { LmdbTaskResult } from "../../services/LmdbTask.ts"
import type { Work } from "../../services/Progress.ts"

/** Messages from the thread of the task. */
export type TaskMessage =
  /** A piece of text for standard output. The thread waits for "more" before the next one. */
  | { readonly _tag: "Text"; readonly text: string }
  /** The work with this number begins. */
  | { readonly _tag: "Work"; readonly work: Work; readonly id: number }
  | { readonly _tag: "WorkDone"; readonly id: number; readonly amount: number }
  | { readonly _tag: "WorkEnd"; readonly id: number }
  /** The last message. */
  | { readonly _tag: "Result"; readonly result: LmdbTaskResult }

/** Messages to the thread of the task: a request for the next piece of text, or an interruption. */
export type TaskRequest = "more" | "end"
