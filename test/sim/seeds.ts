import { test } from 'bun:test'

/** KITSUNE_TEST_SEED runs every scenario with one seed: to replay a failure. */
const only = process.env['KITSUNE_TEST_SEED']

/** Declares a test per seed; `run` returns what went wrong. A failure says how to replay it. */
export function scenario(name: string, seeds: number, run: (seed: number) => string[]): void {
  const chosen = only === undefined ? Array.from({ length: seeds }, (_, i) => i + 1) : [Number(only)]
  for (const seed of chosen) {
    test(`${name} (seed ${seed})`, () => {
      const failures = run(seed)
      if (failures.length === 0) return
      throw new Error(
        `${failures.join('\n')}\nReplay: KITSUNE_TEST_SEED=${seed} bun test ./test/sim -t '${name}'`,
      )
    }, 300_000)
  }
}

/** Returns the whole numbers from 0 up to `count`. */
export function range(count: number, from = 0): number[] {
  return Array.from({ length: count }, (_, i) => from + i)
}

/** Returns what was expected, in words, when it does not hold. */
export function expectThat(holds: boolean, what: string): string[] {
  return holds ? [] : [`expected: ${what}`]
}
