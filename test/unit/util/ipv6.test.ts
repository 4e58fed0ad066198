import { expect, test } from 'bun:test'
import { ipv6Groups } from '#src/util/ipv6.ts'

test.each<[string, number[]]>([
  ['::', [0, 0, 0, 0, 0, 0, 0, 0]],
  ['::1', [0, 0, 0, 0, 0, 0, 0, 1]],
  ['2001:DB8::', [0x2001, 0xdb8, 0, 0, 0, 0, 0, 0]],
  ['1:2:3:4:5:6:7:8', [1, 2, 3, 4, 5, 6, 7, 8]],
  ['1::8', [1, 0, 0, 0, 0, 0, 0, 8]],
  ['::ffff:192.0.2.1', [0, 0, 0, 0, 0, 0xffff, 0xc000, 0x0201]],
  ['64:ff9b::1.2.3.4', [0x64, 0xff9b, 0, 0, 0, 0, 0x0102, 0x0304]],
])('%s', (address, groups) => expect(ipv6Groups(address)).toEqual(groups))
