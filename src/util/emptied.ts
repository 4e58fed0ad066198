/** A list that has been longer than this gives its memory back. */
const keptLength = 1024

/**
 * Returns the list, empty, for what comes next. A new list in its place would be dearer than it looks: one that the
 * collector counts as old keeps, until the next full collection, what was put into it since, though nobody holds the list.
 * (With a block of 256 KiB in each, that was half of what made full collections necessary.)
 */
export function emptied<T>(list: T[]): T[] {
  if (list.length > keptLength) return []
  list.length = 0
  return list
}
