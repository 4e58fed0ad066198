import { expect, test } from 'bun:test'
import '#src/mux/lean-events.ts'
import fc from 'fast-check'
import { TypedEventEmitter } from 'main-event'
import { raw } from '#test/unit/mux/fake-connection.ts'

type Target = Pick<EventTarget, 'addEventListener' | 'removeEventListener' | 'dispatchEvent'>

const names = fc.constantFrom('a', 'b')
const ids = fc.integer({ min: 0, max: 3 })

/** What is done to a target, from outside or by one of its listeners. */
const act = fc.oneof(
  fc.record({
    kind: fc.constant('add' as const),
    name: names,
    id: ids,
    capture: fc.boolean(),
    once: fc.boolean(),
    signal: fc.option(ids),
    object: fc.boolean(),
  }),
  fc.record({ kind: fc.constant('remove' as const), name: names, id: ids, capture: fc.boolean() }),
  fc.record({ kind: fc.constant('abort' as const), id: ids }),
  fc.record({ kind: fc.constant('dispatch' as const), name: names, prevent: fc.boolean() }),
)
type Act = typeof act extends fc.Arbitrary<infer T> ? T : never

/** Does it all to a target, and returns what happened. */
function run(target: Target, acts: readonly Act[], within: readonly Act[][]): string[] {
  const log: string[] = []
  const signals = Array.from({ length: 4 }, () => new AbortController())
  let depth = 0
  const heard = (id: number, event: Event): void => {
    log.push(`${id} hears ${event.type}`)
    if (depth > 1) return
    depth++
    for (const each of within[id] ?? []) apply(each)
    depth--
  }
  const functions = [0, 1, 2, 3].map((id) => (event: Event) => heard(id, event))
  const objects = [0, 1, 2, 3].map((id) => ({ handleEvent: (event: Event) => heard(id, event) }))
  const apply = (each: Act): void => {
    if (each.kind === 'abort') signals[each.id]?.abort()
    else if (each.kind === 'dispatch') {
      const event = new Event(each.name, { cancelable: true })
      if (each.prevent) event.preventDefault()
      log.push(`${each.name}: ${target.dispatchEvent(event)}`)
    } else if (each.kind === 'remove') {
      for (const of of [functions, objects])
        target.removeEventListener(each.name, of[each.id] ?? null, each.capture)
    } else {
      const listener = (each.object ? objects : functions)[each.id] ?? null
      const { capture, once, signal } = each
      const options = { capture, once, ...(signal !== null && { signal: signals[signal]!.signal }) }
      target.addEventListener(each.name, listener, options)
    }
  }
  for (const each of acts) apply(each)
  for (const name of ['a', 'b'] as const) apply({ kind: 'dispatch', name, prevent: false })
  return log
}

/**
 * The standard calls those who capture first, at the target as well; streams have no path to capture on, and nobody listens
 * so. So all of one run capture, or none.
 */
function alike(acts: readonly Act[], capture: boolean): Act[] {
  return acts.map((each) => ('capture' in each ? { ...each, capture } : each))
}

test('listeners are called as those of an EventTarget are', async () => {
  const { muxer } = raw()
  await fc.assert(
    fc.asyncProperty(
      fc.array(act, { maxLength: 20 }),
      fc.array(fc.array(act, { maxLength: 3 }), { maxLength: 4 }),
      fc.boolean(),
      async (acts, within, capture) => {
        const outer = alike(acts, capture)
        const inner = within.map((each) => alike(each, capture))
        const standard = run(new EventTarget(), outer, inner)
        expect(run(new TypedEventEmitter() as unknown as Target, outer, inner)).toEqual(standard)
        const stream = await muxer.createStream()
        expect(run(stream as unknown as Target, outer, inner)).toEqual(standard)
        stream.abort(new Error('over'))
      },
    ),
    { numRuns: 300 },
  )
})

test('one that throws hinders nobody, and its fault comes out', async () => {
  const script = `
    import '#src/mux/lean-events.ts'
    import { TypedEventEmitter } from 'main-event'
    const target = new TypedEventEmitter()
    process.on('uncaughtException', (error) => console.log('caught', error.message))
    target.addEventListener('a', () => { throw new Error('mine') })
    target.addEventListener('a', () => console.log('heard'))
    target.safeDispatchEvent('a')
    console.log('went on')`
  const child = Bun.spawn([process.execPath, '-e', script], { cwd: import.meta.dirname, stdout: 'pipe' })
  expect(await new Response(child.stdout).text()).toBe('heard\nwent on\ncaught mine\n')
})

test('nothing is made for an event that nobody listens to, and listeners are counted', () => {
  const target = new TypedEventEmitter<{ a: CustomEvent<number>; b: CustomEvent }>()
  const values: number[] = []
  const listener = ({ detail }: CustomEvent<number>): void => void values.push(detail)
  expect(target.safeDispatchEvent('a', { detail: 1 })).toBe(true)
  target.addEventListener('a', listener)
  target.addEventListener('a', listener)
  expect([target.listenerCount('a'), target.listenerCount('b')]).toEqual([1, 0])
  target.safeDispatchEvent('a', { detail: 2 })
  target.removeEventListener('a', listener)
  target.safeDispatchEvent('a', { detail: 3 })
  expect([target.listenerCount('a'), ...values]).toEqual([0, 2])
})

test('a signal keeps nothing of a listener that is gone', () => {
  const target = new TypedEventEmitter<{ a: CustomEvent }>()
  const held = { added: 0, removed: 0 }
  const signal = {
    aborted: false,
    addEventListener: () => held.added++,
    removeEventListener: () => held.removed++,
  } as unknown as AbortSignal
  const listener = (): void => {}
  target.addEventListener('a', listener, { signal })
  target.removeEventListener('a', listener)
  target.addEventListener('a', listener, { signal, once: true })
  target.safeDispatchEvent('a')
  expect(held).toEqual({ added: 2, removed: 2 })
})
