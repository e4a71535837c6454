/**
 * Compares two values of the same size, at least one of which is in overflow pages. The other one may be in its node:
 * LMDB leaves a value that has become small in the overflow page of the larger one that the same transaction had put.
 */
import { compareBytes } from "../../../../domain/bytes/ByteOrder.ts"
import { bigDataFlag, type LeafEntries } from "./LeafEntries.ts"
import { Page, type PageFile } from "./PageFile.ts"

const isLarge = ({ flags }: LeafEntries): boolean => (flags & bigDataFlag) !== 0

const isSameInNode = (file: PageFile, large: LeafEntries, small: LeafEntries): boolean => {
  const page = new Page(file.pageSize)
  const start = file.readOverflow(page, large.overflowPage, 0)
  return (
    compareBytes(
      page.bytes,
      start,
      Math.min(file.pageSize, start + large.size),
      small.bytes,
      small.keyEnd,
      small.dataEnd
    ) === 0
  )
}

export const haveSameLargeValue = (file: PageFile, before: LeafEntries, after: LeafEntries): boolean => {
  if (!isLarge(before)) return isSameInNode(file, after, before)
  if (!isLarge(after)) return isSameInNode(file, before, after)
  const left = before.overflowPage
  const right = after.overflowPage
  if (left === right) return true
  const leftPage = new Page(file.pageSize)
  const rightPage = new Page(file.pageSize)
  let rest = after.size
  for (let index = 0; rest > 0; index++) {
    const start = file.readOverflow(leftPage, left, index)
    file.readOverflow(rightPage, right, index)
    const end = Math.min(file.pageSize, start + rest)
    if (compareBytes(leftPage.bytes, start, end, rightPage.bytes, start, end) !== 0) return false
    rest -= end - start
  }
  return true
}
