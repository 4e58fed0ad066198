import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { der, derValues } from '#src/util/der.ts'

test('what is written is read again', () => {
  for (const length of [0, 1, 0x7f, 0x80, 0xff, 0x100, 0xffff, 0x10000, 70_000]) {
    const content = new Uint8Array(length).fill(7)
    const whole = der(0x30, der(0x04, content), der(0x05))
    const [outer, ...more] = derValues(whole)
    expect(more).toEqual([])
    expect(outer?.whole).toEqual(whole)
    const [first, second] = derValues(outer?.content ?? new Uint8Array())
    expect([first?.tag, first?.content.length, second?.tag, second?.content.length]).toEqual([
      4,
      length,
      5,
      0,
    ])
    expect(first?.content).toEqual(content)
  }
})

test('whatever the bytes are, they are read or refused', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      try {
        const values = derValues(bytes)
        expect(values.reduce((sum, { whole }) => sum + whole.length, 0)).toBe(bytes.length)
      } catch (error) {
        expect((error as Error).message).toMatch(/DER/)
      }
    }),
  )
})
