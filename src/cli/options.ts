import { exitCodeTable, wrap } from '#src/cli/terminal.ts'
import { variableKeys } from '#src/config/environment.ts'
import { schema } from '#src/config/schema.ts'
import { sections } from '#src/config/variable.ts'

const sourcesNote =
  'Each can also come from a file: set NAME_FILE to its path, or put a file called NAME into $CREDENTIALS_DIRECTORY (systemd LoadCredential). Numbers with a unit must be written with it ("30s", "64MiB"). Unknown KITSUNE_ names are errors.'

/** Returns the variables as text for --help, wrapped to `width`. */
export function variablesHelp(width: number): string {
  const lines = ['Environment:', wrap(sourcesNote, width, 2)]
  for (const section of sections) {
    lines.push('', `  ${section}`)
    for (const key of variableKeys.filter((each) => schema[each].section === section)) {
      const { name, description, allowed, default: standard, example } = schema[key]
      lines.push(`    ${name}`, wrap(description, width, 8))
      lines.push(wrap(`allowed: ${allowed}`, width, 8), wrap(`default: ${standard}`, width, 8))
      lines.push(wrap(`example: ${example}`, width, 8))
    }
  }
  return lines.join('\n')
}

/** Returns the exit codes as text for --help. */
export function exitCodesHelp(width: number): string {
  return [
    'Exit codes:',
    ...exitCodeTable.map(([code, meaning]) => wrap(`${code}  ${meaning}`, width, 2)),
  ].join('\n')
}

/** Returns the variables as Markdown: a table per section, for the README. */
export function variablesMarkdown(): string {
  const blocks = sections.map((section) => {
    const rows = variableKeys
      .filter((key) => schema[key].section === section)
      .map((key) => {
        const { name, description, allowed, default: standard, example } = schema[key]
        return `| \`${name}\` | ${cell(description)} | ${cell(allowed)} | ${cell(standard)} | \`${cell(example)}\` |`
      })
    const head = '| variable | meaning | allowed | default | example |\n|---|---|---|---|---|'
    return `#### ${section}\n\n${head}\n${rows.join('\n')}`
  })
  const note = `${cell(sourcesNote)} \`KITSUNE_KEY_FILE\` is such a file already: the one of \`KITSUNE_KEY\`.`
  return `${note}\n\n${blocks.join('\n\n')}`
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('<', '&lt;')
}
