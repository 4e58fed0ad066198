import { describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { tuning } from '#src/cli/runtime-tuning.ts'
import { startEdgeProcess } from '#test/support/edge.ts'

/** The edge runs with its runtime tuned, in the process that was started, unless somebody knows better. */

const unreachable = '/ip4/127.0.0.1/tcp/1/p2p/12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5'

function environmentOf(pid: number): string[] {
  return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0')
}

describe.skipIf(process.platform !== 'linux')('the runtime', () => {
  for (const from of ['source', 'binary'] as const) {
    for (const set of [undefined, '5']) {
      test(`is tuned from ${from}, with ${set ?? 'nothing'} set before`, async () => {
        const env = set === undefined ? {} : { MIMALLOC_PURGE_DELAY: set }
        const edge = await startEdgeProcess({ from, backends: [unreachable], env })
        try {
          const environment = environmentOf(edge.process.pid)
          expect(environment).toContain(`MIMALLOC_PURGE_DELAY=${set ?? '5000'}`)
          for (const [name, value] of Object.entries(tuning)) {
            if (name !== 'MIMALLOC_PURGE_DELAY') expect(environment).toContain(`${name}=${value}`)
          }
          expect((await fetch(`${edge.admin}/healthz`)).status).toBe(200)
        } finally {
          await edge.stop()
        }
      })
    }

    test(`is tuned from ${from}, with options for Bun in the environment`, async () => {
      const env = { BUN_OPTIONS: '--smol' }
      const edge = await startEdgeProcess({ from, backends: [unreachable], env })
      try {
        expect(environmentOf(edge.process.pid)).toContain('MIMALLOC_PURGE_DELAY=5000')
      } finally {
        await edge.stop()
      }
    })
  }
})
