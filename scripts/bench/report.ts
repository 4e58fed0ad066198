/** `--report`: everything on one page that needs no other file, in light and dark. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { judge } from './goals.ts'
import type { BenchResult } from './results.ts'

/** Writes the page. */
export async function writeReport(file: string, result: BenchResult): Promise<void> {
  const own = join(import.meta.dirname, 'report')
  const [ownStyle, plotStyle, script] = await Promise.all([
    readFile(join(own, 'page.css'), 'utf8'),
    readFile(fileURLToPath(import.meta.resolve('uplot/dist/uPlot.min.css')), 'utf8'),
    bundle(join(own, 'page.ts')),
  ])
  const content = { ...result, verdicts: judge(result.cases) }
  await writeFile(file, page({ style: plotStyle + ownStyle, script, content }))
}

/** Returns a script with all that it imports. */
async function bundle(entry: string): Promise<string> {
  const built = await Bun.build({ entrypoints: [entry], target: 'browser', format: 'iife', minify: true })
  return built.outputs[0]?.text() ?? ''
}

/** Returns the page; what is put into it cannot end the element that it is put into. */
export function page(parts: { style: string; script: string; content: unknown }): string {
  const json = JSON.stringify(parts.content).replaceAll('<', '\\u003c')
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Kitsune bench</title>
<style>${parts.style}</style>
<main></main>
<script type="application/json" id="result">${json}</script>
<script>${parts.script.replaceAll('</script', '<\\/script')}</script>
</html>
`
}
