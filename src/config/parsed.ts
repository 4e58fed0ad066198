/**
 * The outcome of reading a text that a person wrote: the value, or why not in words that can stand after
 * "KITSUNE_X: ". Never thrown, so that all faults of an environment can be listed at once.
 */
export type Parsed<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly reason: string }

/** Wraps a value that was read. */
export function taken<T>(value: T): Parsed<T> {
  return { ok: true, value }
}

/** Wraps the reason why a text was not taken. */
export function refused(reason: string): { readonly ok: false; readonly reason: string } {
  return { ok: false, reason }
}
