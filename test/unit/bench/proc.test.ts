import { expect, test } from 'bun:test'
import { cpuSeconds, memory, parseBusy, parseCpuTime, parseMemory } from '../../../scripts/bench/proc.ts'

const stat = (name: string): string =>
  `4711 (${name}) S 1 4711 4711 0 -1 4194304 131 0 1 0 250 75 9 9 20 0 1 0 212105 2990080 403 1844674`

test('CPU time is read behind the name, whatever the name is', () => {
  expect(parseCpuTime(stat('bun'))).toEqual({ user: 2.5, system: 0.75 })
  expect(parseCpuTime(stat('a (b) c) R 1 2'))).toEqual({ user: 2.5, system: 0.75 })
})

test('memory is in bytes, and the peak is not what is held now', () => {
  const status = 'Name:\tbun\nVmPeak:\t 900 kB\nVmHWM:\t    300 kB\nVmRSS:\t    200 kB\nThreads:\t7\n'
  expect(parseMemory(status, 'VmHWM')).toBe(300 * 1024)
  expect(parseMemory(status, 'VmRSS')).toBe(200 * 1024)
  expect(parseMemory('Name:\tzombie\n', 'VmRSS')).toBeNaN()
})

test('a machine is busy when it neither idles nor waits for a disk; stolen time counts', () => {
  const text = 'cpu  100 10 50 9999 8888 1 2 37 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\nintr 5\n'
  expect(parseBusy(text)).toBe(2)
})

test.skipIf(process.platform !== 'linux')('this process has used CPU time and memory', () => {
  expect(cpuSeconds(process.pid)).toBeGreaterThan(0)
  expect(memory(process.pid, 'VmHWM')).toBeGreaterThanOrEqual(memory(process.pid) * 0.5)
})
