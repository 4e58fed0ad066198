/**
 * Bytes as map keys, and varints. JavaScript compares strings by content and arrays by identity, so short
 * binary ids (CIDs, multihashes) are kept as strings with one character (0–255) per byte: small, hashable,
 * sliceable without a copy, and turned back into bytes only when they go on the wire.
 */

/** Returns `bytes[start, end)` as a string of one character per byte. For ids: 64 KiB at most. */
export function toKey(bytes: Uint8Array, start = 0, end = bytes.length): string {
  return String.fromCharCode.apply(null, bytes.subarray(start, end) as unknown as number[])
}

/** Writes the bytes that `key` stands for at `offset` and returns the offset behind them. */
export function writeKey(target: Uint8Array, offset: number, key: string): number {
  for (let i = 0; i < key.length; i++) target[offset + i] = key.charCodeAt(i)
  return offset + key.length
}

/** Returns the bytes that `key` stands for. */
export function fromKey(key: string): Uint8Array {
  const bytes = new Uint8Array(key.length)
  writeKey(bytes, 0, key)
  return bytes
}

/** Returns how many bytes `value` takes as an unsigned varint. `value` is an integer below 2^53. */
export function varintLength(value: number): number {
  let length = 1
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) length++
  return length
}

/** Writes `value` as an unsigned varint at `offset` and returns the offset behind it. */
export function writeVarint(target: Uint8Array, offset: number, value: number): number {
  let at = offset
  let rest = value
  while (rest >= 0x80) {
    target[at++] = (rest % 0x80) | 0x80
    rest = Math.floor(rest / 0x80)
  }
  target[at++] = rest
  return at
}

/** A place in bytes, advanced by `readVarint`. */
export interface Cursor {
  at: number
}

/**
 * Reads an unsigned varint at the cursor, before `end`, and advances it. Returns -1 when the bytes end in
 * the middle of it or when it does not fit 53 bits; the cursor is then anywhere.
 */
export function readVarint(bytes: Uint8Array, cursor: Cursor, end: number): number {
  let value = 0
  let scale = 1
  while (cursor.at < end) {
    const byte = bytes[cursor.at++] as number
    value += (byte & 0x7f) * scale
    if (byte < 0x80) return value <= Number.MAX_SAFE_INTEGER ? value : -1
    scale *= 0x80
    if (scale > 0x2_0000_0000_0000) return -1
  }
  return -1
}
