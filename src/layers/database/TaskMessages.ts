/** What the thread of a task and the main thread tell each other: plain data. */
import type { LmdbTaskResult } from "../../services/LmdbTask.ts"
import type { Work } from "../../services/Progress.ts"

/** From the thread of the task. */
export type TaskMessage =
  /** A piece of text for standard output. The thread waits for "more" before the next one. */
  | { readonly _tag: "Text"; readonly text: string }
  /** Work with this number begins. */
  | { readonly _tag: "Work"; readonly work: Work; readonly id: number }
  | { readonly _tag: "WorkDone"; readonly id: number; readonly amount: number }
  | { readonly _tag: "WorkEnd"; readonly id: number }
  /** The last message. */
  | { readonly _tag: "Result"; readonly result: LmdbTaskResult }

/** To the thread of the task: the next piece of text is wanted, or the task is interrupted. */
export type TaskRequest = "more" | "end"
