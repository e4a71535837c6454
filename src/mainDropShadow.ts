/** Composes the layers of `drop-shadow`. LMDB runs in this thread: there is nothing else to do meanwhile. */
import { Effect } from "effect"
import type { Command } from "./domain/CommandLine.ts"
import * as LmdbNative from "./layers/lmdb/native/LmdbNative.ts"
import { withSettings } from "./mainCommand.ts"
import * as DropShadow from "./programs/DropShadow.ts"
import { Settings } from "./services/Settings.ts"

/** The exit code. */
export const dropShadow = ({ global }: Extract<Command, { readonly _tag: "DropShadow" }>): Effect.Effect<number> =>
  withSettings({ global, usesBucket: false }, ({ settings }) =>
    Effect.provideService(DropShadow.run(LmdbNative.layerWith), Settings, settings)
  )
