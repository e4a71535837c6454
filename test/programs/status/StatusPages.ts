/** Reads status pages as people do. */
import { Effect } from "effect"
import type { RunningDaemon } from "../daemon/World.ts"

/** A daemon with the pages of one that has an HTTP server. */
export const serves = { serves: true } as const

export const page = (daemon: RunningDaemon) => Effect.map(daemon.get("/"), ({ body }) => body)

/** What people read, without tags. */
export const textOf = (html: string): string =>
  html
    .replace(/<style>.*?<\/style>|<script>.*?<\/script>/gs, "")
    .replace(/<[^>]*>/g, " ")
    .replace(/\s+/g, " ")

/** From the state of the database on. */
export const sectionOf = (text: string, name: string): string => text.slice(text.indexOf(` ${name} ready `))
