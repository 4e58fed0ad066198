/**
 * Keeps the table of variables in README.md the same as the schema: `bun scripts/readme-table.ts` writes it between
 * the two markers, `--check` fails when it differs.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { variablesMarkdown } from '#src/cli/options.ts'

const begin = '<!-- variables -->'
const end = '<!-- /variables -->'

/** Returns the README with the table of the schema between its markers; throws where a marker is missing. */
export function withVariables(readme: string): string {
  const from = readme.indexOf(begin)
  const to = readme.indexOf(end)
  if (from < 0 || to < from) throw new Error(`README.md needs the markers ${begin} and ${end}, in this order`)
  return `${readme.slice(0, from + begin.length)}\n${variablesMarkdown()}\n${readme.slice(to)}`
}

function main(check: boolean): number {
  const path = fileURLToPath(new URL('../README.md', import.meta.url))
  const readme = readFileSync(path, 'utf8')
  const wanted = withVariables(readme)
  if (readme === wanted) return 0
  if (check) {
    console.error(
      'README.md: the table of variables differs from the schema; run: bun scripts/readme-table.ts',
    )
    return 1
  }
  writeFileSync(path, wanted)
  console.log('README.md: wrote the table of variables')
  return 0
}

if (import.meta.main) process.exitCode = main(process.argv.includes('--check'))
