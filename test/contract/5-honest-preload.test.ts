import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test'
import { type AskingBackend, type RefsAtBackend, startAskingBackend } from '#test/support/asking-backend.ts'
import { type EdgeProcess, startEdgeProcess } from '#test/support/edge.ts'
import { preloadIsIdle } from '#test/support/preload-idle.ts'
import { callRefs, type RefsAnswer, refs } from '#test/support/refs-call.ts'
import { seededCid } from '#test/support/seeded-content.ts'

/** Contract 5: refs never says 2xx for a failure; a failure after the first byte ends in an `Err` line. */
let backend: AskingBackend
let edge: EdgeProcess
let script: (refs: RefsAtBackend) => void = () => {}
let roots = 0

const aRef = seededCid(500, 1, 10).toString()
const otherRef = seededCid(500, 2, 10).toString()
/** A root of its own for each call: nothing joins what another test began. */
const aRoot = (): string => seededCid(501, roots++, 10).toString()

beforeAll(async () => {
  backend = await startAskingBackend((asked) => script(asked))
  edge = await startEdgeProcess({ backends: [backend.rpc], env: { KITSUNE_PRELOAD_WAIT: '1s' } })
  await edge.untilReady()
}, 30_000)

afterEach(async () => {
  await edge.untilMetrics(preloadIsIdle, 10_000)
}, 15_000)

afterAll(async () => {
  await edge?.stop()
  await backend?.stop()
})

const call = (how: (refs: RefsAtBackend) => void, query = ''): Promise<RefsAnswer> => {
  script = how
  return refs({ web: edge.web, query: `r=true&arg=${aRoot()}${query}` })
}

function expectFailure(answer: RefsAnswer): void {
  expect(answer.status).toBeGreaterThanOrEqual(500)
  expect(answer.ending).toBe('whole')
  expect(answer.headers['access-control-allow-origin']).toBe('*')
  expect(answer.headers['content-type']).toContain('application/json')
  expect(JSON.parse(answer.body)).toEqual({ Message: expect.any(String), Code: 0, Type: 'error' })
  expect(answer.error).not.toBe('')
}

describe('a failure before the first line', () => {
  const failures: [string, (refs: RefsAtBackend) => void][] = [
    ['says so', (asked) => asked.fail('merkledag: not found')],
    ['says so in a 200', (asked) => asked.end('context deadline exceeded')],
    ['refuses', (asked) => asked.fail('no', 403)],
    ['cuts the connection', (asked) => asked.cut()],
    ['never answers', () => {}],
  ]
  test.each(failures)(
    'is none of the 2xx when the backend %s',
    async (_, how) => {
      expectFailure(await call(how))
    },
    10_000,
  )

  test("is none when the caller's own time is over", async () => {
    const answer = await call(() => {}, '&timeout=300ms')
    expectFailure(answer)
    expect(answer.ms).toBeLessThan(900)
  })
})

describe('a failure after the first line', () => {
  const failures: [string, (refs: RefsAtBackend) => void][] = [
    ['says so', (asked) => asked.end('block was not found locally')],
    ['cuts the connection', (asked) => asked.cut()],
    ['goes silent', () => {}],
  ]
  test.each(failures)(
    'ends in an Err line when the backend %s',
    async (_, how) => {
      const answer = await call((asked) => {
        asked.lines(aRef, otherRef)
        // Its lines are to be there before what comes next.
        setImmediate(() => how(asked))
      })
      expect(answer).toMatchObject({ status: 200, refs: [aRef, otherRef], ending: 'whole' })
      const last = JSON.parse(answer.body.trimEnd().split('\n').at(-1) ?? '')
      expect(last).toEqual({ Ref: '', Err: expect.stringMatching(/./) })
    },
    10_000,
  )
})

describe('a success', () => {
  test('is the lines of the backend and nothing else', async () => {
    const answer = await call((asked) => {
      asked.lines(aRef)
      asked.lines(otherRef)
      asked.end()
    })
    expect(answer).toMatchObject({ status: 200, ending: 'whole', error: undefined })
    expect(answer.body).toBe(`{"Ref":"${aRef}","Err":""}\n{"Ref":"${otherRef}","Err":""}\n`)
    expect(answer.headers['access-control-allow-origin']).toBe('*')
  })

  test.each([
    ['POST', 'r=true'],
    ['GET', 'r=true'],
    ['GET', 'recursive=true'],
    ['POST', 'recursive=true&stream-channels=true'],
  ])('is the same to old clients and new ones: %s with %s', async (method, query) => {
    script = (asked) => {
      asked.lines(aRef)
      asked.end()
    }
    const answer = await refs({ web: edge.web, method, query: `${query}&arg=${aRoot()}` })
    expect(answer).toMatchObject({ status: 200, refs: [aRef], ending: 'whole' })
    expect(backend.refs.at(-1)?.url).toContain('recursive=true')
  })

  test('of a leaf has no lines', async () => {
    expect(await call((asked) => asked.end())).toMatchObject({ status: 200, body: '', ending: 'whole' })
  })

  test('is not told before the backend has accepted the work', async () => {
    let asked: RefsAtBackend | undefined
    script = (each) => {
      asked = each
    }
    const begun = callRefs({ web: edge.web, arg: aRoot() })
    let told = false
    void begun.status.then(() => {
      told = true
    })
    await backend.until(() => asked !== undefined)
    await edge.untilMetrics((m) => m.sum('kitsune_refs_under_way') === 1)
    expect(told).toBe(false)
    asked?.lines(aRef)
    expect(await begun.status).toBe(200)
    asked?.end()
    expect(await begun.answer).toMatchObject({ refs: [aRef], ending: 'whole' })
  })
})

describe('a caller', () => {
  test('who goes takes the work along', async () => {
    const before = backend.refs.length
    script = () => {}
    const begun = callRefs({ web: edge.web, arg: aRoot() })
    await backend.until(({ refs: asked }) => asked.length > before)
    begun.abort()
    await backend.refs.at(-1)?.gone
  }, 10_000)

  test('is one of ten who ask for the same: one call of the backend, ten whole answers', async () => {
    const before = backend.refs.length
    let asked: RefsAtBackend | undefined
    script = (each) => {
      asked = each
      each.lines(aRef)
    }
    const arg = aRoot()
    const early = Array.from({ length: 9 }, () => callRefs({ web: edge.web, arg }))
    await Promise.all(early.map((each) => each.lines(1)))
    const gone = callRefs({ web: edge.web, arg })
    await gone.lines(1)
    gone.abort()
    const late = callRefs({ web: edge.web, arg })
    await late.lines(1)
    asked?.lines(otherRef)
    asked?.end()
    for (const { answer } of [...early, late]) {
      expect(await answer).toMatchObject({ status: 200, refs: [aRef, otherRef], error: undefined })
    }
    expect(backend.refs.length - before).toBe(1)
  }, 10_000)
})

describe('an edge that stops', () => {
  test('finishes what is under way and refuses more', async () => {
    const other = await startEdgeProcess({ backends: [backend.rpc] })
    try {
      await other.untilReady()
      let asked: RefsAtBackend | undefined
      script = (each) => {
        asked = each
        each.lines(aRef)
      }
      const begun = callRefs({ web: other.web, arg: aRoot() })
      await begun.lines(1)
      const ended = other.end('SIGTERM')
      const refused = await refs({ web: other.web, arg: aRoot() }).catch(() => undefined)
      if (refused !== undefined) {
        expect(refused.status).toBe(503)
        expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0)
      }
      asked?.end()
      expect(await begun.answer).toMatchObject({
        status: 200,
        refs: [aRef],
        ending: 'whole',
        error: undefined,
      })
      expect(await ended).toBe(0)
    } finally {
      await other.stop()
    }
  }, 30_000)
})
