import * as bun from 'bun:test'

/** The words of mocha that libp2p's compliance suites use, as `bun test` has them; see `compliance.ts`. */

/**
 * A `this` of mocha. Its time limits are for slow machines of others: here one limit fits all. A suite that skips a
 * test of its own accord was set up with too little, and is told so.
 */
const context = {
  timeout(): void {},
  skip(): never {
    throw new Error('the suite would skip this: give it what it needs')
  },
}
type Body = (this: typeof context) => unknown

const limitMs = 60_000
let retry = 0

/** What is described within `body` may fail so many times; whoever says so says why. */
export function withRetries(times: number, body: () => void): void {
  const before = retry
  retry = times
  body()
  retry = before
}

export function describe(name: string, body: Body): void {
  const inherited = retry
  // It may be called later than what stands behind it.
  bun.describe(name, () => withRetries(inherited, () => void body.call(context)))
}

export function it(name: string, body: Body): void {
  bun.it(name, async () => void (await body.call(context)), { timeout: limitMs, retry })
}

export const before = bun.beforeAll
export const after = bun.afterAll
export const beforeEach = bun.beforeEach
export const afterEach = bun.afterEach
