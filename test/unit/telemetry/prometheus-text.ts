/** A strict reader of Prometheus' text format, version 0.0.4, for tests: throws at whatever a server would refuse. */

export interface ParsedMetric {
  readonly help: string
  readonly type: string
  /** By series: name and labels as written. */
  readonly samples: Map<string, { labels: Record<string, string>; value: number }>
}

const nameShape = '[a-zA-Z_:][a-zA-Z0-9_:]*'
const sampleShape = new RegExp(`^(${nameShape})(?:\\{(.*)\\})? (\\S+)$`)
const labelShape = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"(,|$)/y
const suffixesOf: Record<string, string[]> = { histogram: ['_bucket', '_sum', '_count'] }

export function parsePrometheusText(text: string): Map<string, ParsedMetric> {
  if (!text.endsWith('\n')) throw new Error('the last line has no end')
  const metrics = new Map<string, ParsedMetric>()
  let help: { name: string; text: string } | undefined
  let current: { name: string; metric: ParsedMetric } | undefined
  for (const line of text.split('\n')) {
    if (line === '') continue
    if (line.startsWith('# HELP ')) {
      const [, name = '', words = ''] = /^# HELP (\S+) (.+)$/.exec(line) ?? []
      if (name === '') throw new Error(`bad HELP: ${line}`)
      help = { name, text: words }
    } else if (line.startsWith('# TYPE ')) {
      const [, name = '', type = ''] = /^# TYPE (\S+) (counter|gauge|histogram)$/.exec(line) ?? []
      if (name === '' || help?.name !== name) throw new Error(`TYPE without its HELP: ${line}`)
      if (metrics.has(name)) throw new Error(`declared twice: ${name}`)
      current = { name, metric: { help: help.text, type, samples: new Map() } }
      metrics.set(name, current.metric)
    } else {
      addSample(line, current)
    }
  }
  return metrics
}

function addSample(line: string, current: { name: string; metric: ParsedMetric } | undefined): void {
  const [, name = '', labelText = '', valueText = ''] = sampleShape.exec(line) ?? []
  if (name === '' || current === undefined) throw new Error(`no sample: ${line}`)
  const expected = (suffixesOf[current.metric.type] ?? ['']).map((suffix) => current.name + suffix)
  if (!expected.includes(name)) throw new Error(`${name} stands under ${current.name}`)
  const value = valueText === '+Inf' ? Number.POSITIVE_INFINITY : Number(valueText)
  if (Number.isNaN(value)) throw new Error(`no number: ${line}`)
  const labels: Record<string, string> = {}
  labelShape.lastIndex = 0
  while (labelShape.lastIndex < labelText.length) {
    const at = labelShape.lastIndex
    const match = labelShape.exec(labelText)
    if (match === null) throw new Error(`bad label at ${at}: ${line}`)
    const [, label = '', escaped = ''] = match
    if (label in labels) throw new Error(`label twice: ${line}`)
    labels[label] = escaped.replace(/\\(.)/g, (_, letter: string) => (letter === 'n' ? '\n' : letter))
  }
  const series = `${name}${JSON.stringify(Object.entries(labels).sort())}`
  if (current.metric.samples.has(series)) throw new Error(`series twice: ${line}`)
  current.metric.samples.set(series, { labels, value })
}
