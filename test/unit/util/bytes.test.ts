import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { fromKey, readVarint, toKey, varintLength, writeKey, writeVarint } from '#src/util/bytes.ts'

test('bytes become a key and bytes again', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const key = toKey(bytes)
      expect(key.length).toBe(bytes.length)
      expect(fromKey(key)).toEqual(bytes)
      const target = new Uint8Array(bytes.length + 2)
      expect(writeKey(target, 1, key)).toBe(bytes.length + 1)
      expect(target.subarray(1, -1)).toEqual(bytes)
    }),
  )
  expect(toKey(Uint8Array.from([1, 2, 3, 4]), 1, 3)).toBe('\x02\x03')
})

test('varints come back, and are as long as said', () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), (value) => {
      const bytes = new Uint8Array(10)
      const end = writeVarint(bytes, 0, value)
      expect(end).toBe(varintLength(value))
      const cursor = { at: 0 }
      expect(readVarint(bytes, cursor, end)).toBe(value)
      expect(cursor.at).toBe(end)
      expect(readVarint(bytes, { at: 0 }, end - 1)).toBe(-1)
    }),
  )
})

test('a varint of more than 53 bits is none', () => {
  expect(readVarint(Uint8Array.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f]), { at: 0 }, 8)).toBe(
    2 ** 53 - 1,
  )
  expect(readVarint(Uint8Array.from([0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10]), { at: 0 }, 8)).toBe(-1)
  expect(readVarint(new Uint8Array(20).fill(0x80), { at: 0 }, 20)).toBe(-1)
})
