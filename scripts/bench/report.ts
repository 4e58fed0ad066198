/** `--report`: everything on one page that needs no other file, in light and dark. */
import { readFile, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { judge } from './goals.ts'
import type { BenchResult } from './results.ts'
import { formatFigure } from './table.ts'

/** Writes the page. */
export async function writeReport(file: string, result: BenchResult): Promise<void> {
  const here = join(import.meta.dirname, 'report')
  const plots = join(dirname(createRequire(import.meta.url).resolve('uplot/package.json')), 'dist')
  const [style, script, plotStyle, plotScript] = await Promise.all([
    readFile(join(here, 'page.css'), 'utf8'),
    readFile(join(here, 'page.js'), 'utf8'),
    readFile(join(plots, 'uPlot.min.css'), 'utf8'),
    readFile(join(plots, 'uPlot.iife.min.js'), 'utf8'),
  ])
  const content = {
    ...result,
    verdicts: judge(result.cases),
    cases: result.cases.map((each) => ({
      ...each,
      figures: each.figures.map((figure) => ({ ...figure, text: formatFigure(figure) })),
    })),
  }
  await writeFile(file, page({ style: plotStyle + style, script: plotScript, main: script, content }))
}

function page(parts: { style: string; script: string; main: string; content: unknown }): string {
  // Inside a script element only "</" and "<!--" could end or change it; JSON can say "<" in another way.
  const json = JSON.stringify(parts.content).replaceAll('<', '\\u003c')
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Kitsune bench</title>
<style>${parts.style}</style>
<main></main>
<script>${parts.script}</script>
<script type="application/json" id="result">${json}</script>
<script type="module">${parts.main}</script>
</html>
`
}
