import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { LineCutter } from '#src/rpc/lines.ts'

const text = (lines: readonly Uint8Array[] | undefined) => lines?.map((line) => Buffer.from(line).toString())

test('however bytes are cut, the lines are the same', () => {
  const pieces = fc.array(fc.string({ unit: fc.constantFrom('a', 'b', '\n'), maxLength: 6 }), {
    maxLength: 20,
  })
  fc.assert(
    fc.property(pieces, (parts) => {
      const cutter = new LineCutter(1_000)
      const lines = parts.flatMap((part) => text(cutter.take(Buffer.from(part))) ?? ['too long'])
      const whole = parts.join('')
      expect(cutter.held).toBe(whole.length - (whole.lastIndexOf('\n') + 1))
      expect([...lines, Buffer.from(cutter.rest()).toString()].join('')).toBe(whole)
      for (const line of lines) expect(line.indexOf('\n')).toBe(line.length - 1)
    }),
  )
})

test('a line may be as long as allowed and no longer, ended or not', () => {
  expect(text(new LineCutter(4).take(Buffer.from('abc\nabc\n')))).toEqual(['abc\n', 'abc\n'])
  expect(new LineCutter(4).take(Buffer.from('abcd\n'))).toBeUndefined()
  const cutter = new LineCutter(4)
  expect(text(cutter.take(Buffer.from('abcd')))).toEqual([])
  expect(cutter.take(Buffer.from('e'))).toBeUndefined()
})
