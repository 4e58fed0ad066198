import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { initialWindow, ReceiveWindow } from '#src/mux/receive-window.ts'

const largest = 8 * initialWindow
const growth = 10 * initialWindow

/** What the test knows of a window. */
interface Peer {
  readonly window: ReceiveWindow
  /** What the peer was granted and has not sent. */
  granted: number
  unread: number
}

const step = fc.record({
  stream: fc.nat({ max: 3 }),
  kind: fc.constantFrom('send', 'read', 'replenish', 'over' as const),
  share: fc.double({ min: 0, max: 1, noNaN: true }),
  passedMs: fc.constantFrom(0, 10, 400, 600),
})

test('windows grant what was read, grow by what there is, and give it back', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300, size: 'max' }), (steps) => {
      const allowance = { leftBytes: growth }
      let nowMs = 0
      const open = (): Peer => ({
        window: new ReceiveWindow(largest, allowance, nowMs),
        granted: initialWindow,
        unread: 0,
      })
      const peers = [0, 1, 2, 3].map(open)
      for (const { stream, kind, share, passedMs } of steps) {
        nowMs += passedMs
        const peer = peers[stream] as Peer
        if (kind === 'send') {
          expect(peer.window.charge(peer.granted + 1)).toBe(false)
          const bytes = Math.round(share * peer.granted)
          expect(peer.window.charge(bytes)).toBe(true)
          peer.granted -= bytes
          peer.unread += bytes
        } else if (kind === 'read') {
          peer.unread -= Math.round(share * peer.unread)
        } else if (kind === 'replenish') {
          const before = allowance.leftBytes
          const grant = peer.window.replenish(peer.unread, nowMs)
          peer.granted += grant
          // Nothing is kept from who reads all: with nothing granted and nothing unread there is a grant.
          if (peer.unread === 0) expect(peer.granted).toBeGreaterThan(initialWindow / 2)
          if (before !== allowance.leftBytes) expect(grant).toBeGreaterThan(0)
        } else {
          peer.window.release()
          peers[stream] = open()
        }
        expect(allowance.leftBytes).toBeGreaterThanOrEqual(0)
        const held = peers.map(({ granted, unread }) => granted + unread)
        for (const bytes of held) expect(bytes).toBeLessThanOrEqual(largest)
        const grown = held.reduce((sum, bytes) => sum + Math.max(0, bytes - initialWindow), 0)
        expect(grown).toBeLessThanOrEqual(growth - allowance.leftBytes)
      }
      for (const { window } of peers) window.release()
      expect(allowance.leftBytes).toBe(growth)
    }),
  )
})

test('a window grows only for a peer that uses half of it at once, and to no more than the largest', () => {
  const allowance = { leftBytes: 100 * largest }
  const slow = new ReceiveWindow(largest, allowance, 0)
  slow.charge(initialWindow / 2 - 1)
  expect(slow.replenish(0, 1)).toBe(0)
  slow.charge(1)
  expect(slow.replenish(0, 501)).toBe(initialWindow / 2)
  const quick = new ReceiveWindow(largest, allowance, 0)
  let granted = initialWindow
  for (let turn = 0; turn < 20; turn++) {
    expect(quick.charge(granted)).toBe(true)
    granted = quick.replenish(0, turn)
    expect(granted).toBe(Math.min(largest, initialWindow * 2 ** (turn + 1)))
  }
  expect(allowance.leftBytes).toBe(100 * largest - (largest - initialWindow))
})

test('windows grow by no more than all have together, and by what an ended one gave back', () => {
  const allowance = { leftBytes: 1.5 * initialWindow }
  const windows = [1, 2, 3].map(() => new ReceiveWindow(largest, allowance, 0))
  const grants = windows.map((window) => {
    window.charge(initialWindow)
    return window.replenish(0, 1) / initialWindow
  })
  expect(grants).toEqual([2, 1.5, 1])
  expect(allowance.leftBytes).toBe(0)
  windows[0]?.release()
  expect(windows[2]?.charge(initialWindow)).toBe(true)
  expect(windows[2]?.replenish(0, 2)).toBe(2 * initialWindow)
  expect(allowance.leftBytes).toBe(0)
})
