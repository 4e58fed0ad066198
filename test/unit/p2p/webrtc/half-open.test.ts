import { expect, test } from 'bun:test'
import { HalfOpen } from '#src/p2p/webrtc/half-open.ts'

const from = (host: string, port = 1, ufrag = 'u') => ({ host, port, ufrag })
const never = (): void => {}

test('a request is new once, and again a while after it was turned away', () => {
  const halfOpen = new HalfOpen({ total: 8, perAddress: 8 })
  const request = from('192.0.2.1')
  expect(halfOpen.isNew(request, 0)).toBe(true)
  const { over } = halfOpen.begin(request, never)
  expect(halfOpen.isNew(request, 0)).toBe(false)
  expect(halfOpen.isNew(from('192.0.2.1', 2), 0)).toBe(true)
  over()
  over()
  expect(halfOpen.size).toBe(0)
  expect(halfOpen.isNew(request, 0)).toBe(true)
  halfOpen.turnAway(request, 100)
  expect(halfOpen.isNew(request, 50)).toBe(false)
  expect(halfOpen.isNew(request, 150)).toBe(true)
})

test('one address has its share, an IPv6 /64 being one', () => {
  const halfOpen = new HalfOpen({ total: 8, perAddress: 2 })
  const first = halfOpen.begin(from('2001:db8::1'), never)
  halfOpen.begin(from('2001:db8::2'), never)
  expect(halfOpen.makeRoom(from('2001:db8::3'))).toBe(false)
  expect(halfOpen.makeRoom(from('2001:db8:0:1::3'))).toBe(true)
  first.over()
  expect(halfOpen.makeRoom(from('2001:db8::3'))).toBe(true)
})

test('when it is full the eldest that has proved nothing gives way, and nobody else', () => {
  const halfOpen = new HalfOpen({ total: 3, perAddress: 3 })
  const gaveUp: number[] = []
  const begun = [1, 2, 3].map((n) => halfOpen.begin(from(`192.0.2.${n}`), () => gaveUp.push(n)))
  begun[0]?.prove()
  expect(halfOpen.makeRoom(from('192.0.2.9'))).toBe(true)
  expect(gaveUp).toEqual([2])
  expect(halfOpen.size).toBe(2)
  // That it is over is told late, when another has its place.
  halfOpen.begin(from('192.0.2.2'), () => gaveUp.push(22))
  begun[1]?.over()
  expect(halfOpen.size).toBe(3)
  begun[2]?.prove()
  expect(halfOpen.makeRoom(from('192.0.2.9'))).toBe(true)
  expect(gaveUp).toEqual([2, 22])
  halfOpen.begin(from('192.0.2.9'), never).prove()
  expect(halfOpen.makeRoom(from('192.0.2.10'))).toBe(false)
})

test('one that won ends the others of its client, and nobody else', () => {
  const halfOpen = new HalfOpen({ total: 8, perAddress: 8 })
  const gaveUp: string[] = []
  const begin = (host: string, ufrag: string) =>
    halfOpen.begin(from(host, 1, ufrag), () => gaveUp.push(`${host} ${ufrag}`))
  begin('192.0.2.1', 'a')
  const won = begin('192.0.2.2', 'a')
  begin('198.51.100.7', 'a')
  begin('192.0.2.1', 'b')
  won.won()
  expect(gaveUp).toEqual(['192.0.2.1 a', '198.51.100.7 a'])
  expect(halfOpen.size).toBe(1)
})

test('a flood from everywhere stays within its bounds', () => {
  const halfOpen = new HalfOpen({ total: 64, perAddress: 4 })
  for (let i = 0; i < 20_000; i++) {
    const request = from(`10.${i & 255}.${(i >> 8) & 255}.1`, 1, `u${i}`)
    if (halfOpen.makeRoom(request)) halfOpen.begin(request, never)
    else halfOpen.turnAway(request, i)
    expect(halfOpen.size).toBeLessThanOrEqual(64)
  }
  halfOpen.clear()
  expect(halfOpen.size).toBe(0)
})
