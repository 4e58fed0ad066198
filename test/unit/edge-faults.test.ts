import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { repositoryRoot } from '#test/support/build-once.ts'

const script = `
  const { watchFaults } = await import('${join(repositoryRoot, 'src/edge-faults.ts')}')
  const stop = watchFaults((error) => console.log('seen ' + error.message))
  queueMicrotask(() => { throw new Error('a') })
  setTimeout(() => { throw new Error('b') }, 1)
  Promise.reject(new Error('c'))
  setTimeout(() => { console.log('alive'); stop(); throw new Error('d') }, 50)
`

test('faults that nobody caught are reported and survived, until that is stopped', async () => {
  const child = Bun.spawn([process.execPath, '-e', script], { stdout: 'pipe', stderr: 'ignore' })
  const lines = (await new Response(child.stdout).text()).trim().split('\n')
  expect(lines.sort()).toEqual(['alive', 'seen a', 'seen b', 'seen c'])
  expect(await child.exited).not.toBe(0)
})
