/** Lines of each failure that are told again: its end, since the reason stands last. */
const linesEach = 30
const most = 20

/** Ends of what belongs to one test: its outcome, with the reason on the line after it, or an unhandled error. */
const outcome = /^\((pass|fail|skip|todo)\) .*(?:\n {2}\^ .*)?|^# Unhandled error.*\n(-+)\n[\s\S]*?\n\2$/gm

/**
 * The failures in what `bun test` printed, each with its test's file and what was printed before it, so that
 * who sees no more than the end of a long output knows what failed and why. At most 20, of 30 lines each.
 */
export function failuresIn(output: string): string[] {
  const failures: string[] = []
  let from = 0
  let file = ''
  for (const match of output.matchAll(outcome)) {
    const to = match.index + match[0].length
    const told = output.slice(from, to)
    from = to
    const header = [...told.matchAll(/^\S+\.test\.ts:$/gm)].at(-1)
    file = header?.[0] ?? file
    if (match[1] !== undefined && match[1] !== 'fail') continue
    const lines = told.slice(header ? header.index + file.length : 0).split('\n')
    failures.push([file, ...lines.filter((line) => line !== '').slice(-linesEach)].join('\n'))
    if (failures.length === most) break
  }
  return failures
}
