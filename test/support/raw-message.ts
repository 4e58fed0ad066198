/**
 * A second encoder of Bitswap messages for tests: it can say anything, also what no honest peer says, and shares no
 * code with the one under test.
 */

/** One entry of a wantlist; `cid` is any bytes. */
export interface RawWant {
  readonly cid: Uint8Array
  readonly cancel?: boolean
  /** want-have. */
  readonly have?: boolean
  readonly sendDontHave?: boolean
  readonly priority?: number
}

/** A message; what is absent is not written. */
export interface RawMessage {
  readonly full?: boolean
  readonly wants?: readonly RawWant[]
  readonly blocks?: readonly { readonly prefix: Uint8Array; readonly bytes: Uint8Array }[]
  /** Bitswap 1.0 blocks. */
  readonly bareBlocks?: readonly Uint8Array[]
  readonly haves?: readonly Uint8Array[]
  readonly dontHaves?: readonly Uint8Array[]
}

/** The prefix of a CIDv1 of raw bytes with sha2-256. */
export const rawPrefix = Uint8Array.of(1, 0x55, 0x12, 32)

/** Returns a message as one frame: length, then protobuf. */
export function rawFrame(message: RawMessage): Uint8Array {
  return framed(rawBody(message))
}

/** Returns any bytes as one frame. */
export function framed(body: Uint8Array): Uint8Array {
  return Buffer.concat([varint(body.length), body])
}

/** Returns the protobuf of a message. */
export function rawBody(message: RawMessage): Uint8Array {
  const parts: Uint8Array[] = []
  if (message.wants !== undefined || message.full !== undefined) {
    const entries = (message.wants ?? []).map((want) => field(0x0a, entryBody(want)))
    if (message.full === true) entries.push(Uint8Array.of(0x10, 1))
    parts.push(field(0x0a, Buffer.concat(entries)))
  }
  for (const bytes of message.bareBlocks ?? []) parts.push(field(0x12, bytes))
  for (const { prefix, bytes } of message.blocks ?? []) {
    parts.push(field(0x1a, Buffer.concat([field(0x0a, prefix), field(0x12, bytes)])))
  }
  for (const cid of message.haves ?? []) parts.push(field(0x22, field(0x0a, cid)))
  for (const cid of message.dontHaves ?? []) {
    parts.push(field(0x22, Buffer.concat([field(0x0a, cid), Uint8Array.of(0x10, 1)])))
  }
  return Buffer.concat(parts)
}

/** Returns an unsigned varint. */
export function varint(value: number): Uint8Array {
  const bytes: number[] = []
  let rest = value
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128)
  return Uint8Array.of(...bytes, rest)
}

function entryBody(want: RawWant): Uint8Array {
  const flags = [0x10, ...varint(want.priority ?? 1)]
  if (want.cancel === true) flags.push(0x18, 1)
  if (want.have === true) flags.push(0x20, 1)
  if (want.sendDontHave === true) flags.push(0x28, 1)
  return Buffer.concat([field(0x0a, want.cid), Uint8Array.from(flags)])
}

/** Returns bytes and lists of bytes as one list. */
export function bytesOf(...parts: readonly (number | Uint8Array)[]): Uint8Array {
  return new Uint8Array(
    Buffer.concat(parts.map((part) => (typeof part === 'number' ? Uint8Array.of(part) : part))),
  )
}

/** Returns a field of so many bytes; `tag` is its number and its type. */
export function field(tag: number, ...parts: readonly (number | Uint8Array)[]): Uint8Array {
  const body = bytesOf(...parts)
  return bytesOf(tag, varint(body.length), body)
}
