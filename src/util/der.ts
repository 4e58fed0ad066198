/** One value of DER: its tag and what it holds; `whole` has both and the length. */
export interface DerValue {
  readonly tag: number
  readonly content: Uint8Array
  readonly whole: Uint8Array
}

/** Returns the values that stand one after the other in `bytes`; throws where one is cut off or no DER. */
export function derValues(bytes: Uint8Array): DerValue[] {
  const values: DerValue[] = []
  let at = 0
  while (at < bytes.length) {
    const from = at
    const tag = bytes[at] as number
    let length = bytes[at + 1] ?? 0
    at += 2
    if (length > 0x7f) {
      const width = length & 0x7f
      // Three bytes are 16 MiB, more than anything that is read here.
      if (width === 0 || width > 3) throw new Error('no DER')
      length = 0
      for (const byte of bytes.subarray(at, at + width)) length = length * 256 + byte
      at += width
    }
    if (at + length > bytes.length) throw new Error('DER that is cut off')
    values.push({ tag, content: bytes.subarray(at, at + length), whole: bytes.subarray(from, at + length) })
    at += length
  }
  return values
}

/** Returns one value of DER; `contents` are joined. */
export function der(tag: number, ...contents: readonly Uint8Array[]): Uint8Array {
  const length = contents.reduce((sum, content) => sum + content.length, 0)
  const head = [tag, ...lengthOf(length)]
  const value = new Uint8Array(head.length + length)
  value.set(head)
  let at = head.length
  for (const content of contents) {
    value.set(content, at)
    at += content.length
  }
  return value
}

function lengthOf(length: number): number[] {
  if (length < 0x80) return [length]
  const bytes: number[] = []
  for (let left = length; left > 0; left = Math.floor(left / 256)) bytes.unshift(left % 256)
  return [0x80 | bytes.length, ...bytes]
}
