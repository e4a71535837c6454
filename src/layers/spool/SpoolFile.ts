/**
 * `Spool` in memory up to a limit, and beyond it in a temporary file with mode 0600, which is unlinked before `open`
 * returns. The file is created at the start, empty, and the thread that created it closes it, whichever thread finds
 * that it is needed. Memory is released by dropping the references to it, so the garbage collector has to run.
 */
import { Effect, Layer, Stream } from "effect"
import { Spool, type Spooled, type SpoolPlace, type SpoolReviser, type SpoolWriter } from "../../services/Spool.ts"
import { blockBytes, copyInto } from "./SpoolBlocks.ts"
import { locate } from "./SpoolExtents.ts"
import { close, endOfFile, openUnlinked, readAll } from "./SpoolFileCalls.ts"
import { SpoolFileWriter } from "./SpoolFileWriter.ts"

export const writer = (place: SpoolPlace): SpoolWriter => new SpoolFileWriter(place)

export const revise = (spooled: Spooled): SpoolReviser => new SpoolFileWriter(spooled.place, spooled)

export const readInto = Effect.fnUntraced(function* (spooled: Spooled, start: number, target: Uint8Array<ArrayBuffer>) {
  for (let done = 0; done < target.length;) {
    const extent = locate(spooled, start + done, start + target.length)
    const part = target.subarray(done, done + extent.end - extent.start)
    if (part.length === 0) return yield* endOfFile(spooled.place.directory)
    if (spooled.memory.length > 0) copyInto(part, spooled.memory, extent.start)
    else yield* readAll(spooled.place, part, extent.start)
    done += part.length
  }
})

export const read = (spooled: Spooled, range?: { readonly start: number; readonly end: number }) => {
  const end = Math.min(range?.end ?? spooled.size, spooled.size)
  // Arrays of one chunk, so that nothing is read ahead of the consumer.
  return Stream.unfold(
    range?.start ?? 0,
    Effect.fnUntraced(function* (start: number) {
      if (start >= end) return undefined
      const chunk = Buffer.allocUnsafeSlow(Math.min(end - start, blockBytes))
      yield* readInto(spooled, start, chunk)
      return [chunk, start + chunk.length] as const
    })
  )
}

export const layerWith = ({ directory, memoryLimit }: { readonly directory: string; readonly memoryLimit: number }) =>
  Layer.succeed(Spool, {
    open: Effect.map(Effect.acquireRelease(openUnlinked(directory), close), (fd): SpoolPlace => ({
      fd,
      directory,
      memoryLimit
    })),
    writer,
    revise,
    read,
    readInto
  })
