/* Draws the report: everything comes from the JSON in the page, nothing is fetched. */
const result = JSON.parse(document.getElementById('result').textContent)
const main = document.querySelector('main')
const subjects = ['direct', 'edge', 'haproxy', 'other']

/** Returns an element; text is never markup. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value)
  element.append(...children)
  return element
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle] + sorted[middle - 1]) / 2
}

function number(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return '–'
  const size = Math.abs(value)
  if (size >= 1000) return Math.round(value).toLocaleString('en-US').replaceAll(',', ' ')
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2)
}

/** The colour that the page's style gives a name, as canvas wants it. */
function colour(name) {
  const probe = make('i', { style: `color: var(--${name})` })
  document.body.append(probe)
  const value = getComputedStyle(probe).color
  probe.remove()
  return value
}

function table(head, rows) {
  const line = (cells, tag) =>
    make('tr', {}, ...cells.map((cell) => (cell instanceof Node ? cell : make(tag, {}, cell))))
  return make('table', {}, line(head, 'th'), ...rows.map((row) => line(row, 'td')))
}

function keys(names) {
  return make(
    'p',
    {},
    ...names.map((name) => make('span', { class: 'key', style: `--of: var(--${name})` }, name)),
  )
}

function figureOf(each, name) {
  return each.figures.find((figure) => figure.name === name)
}

function head() {
  const disturbed = result.cases.some((each) => each.figures.some((figure) => figure.disturbed))
  const when = result.startedAt.slice(0, 16).replace('T', ' ')
  main.append(
    make('h1', {}, 'Kitsune bench'),
    make(
      'p',
      { class: 'quiet' },
      `${when} UTC · ${result.machine}${result.quick ? ' · one short round of each case' : ''}`,
    ),
  )
  if (disturbed) {
    main.append(
      make(
        'p',
        { class: 'fault' },
        '~ Other processes used the machine meanwhile: figures with this mark are not to be trusted.',
      ),
    )
  }
  for (const each of result.cases) {
    for (const fault of each.faults) main.append(make('p', { class: 'fault' }, `${each.name}: ${fault}`))
  }
}

function goals() {
  const words = { no: 'not met', must: 'met', aim: 'met, and the aim' }
  const shown = result.verdicts.filter(({ met }) => met !== undefined)
  if (shown.length === 0) return
  const rows = shown.map(({ title, measured, must, aim, met }) => [
    title,
    measured,
    must,
    aim,
    make('td', { class: `met-${met}` }, words[met]),
  ])
  main.append(
    make('h2', {}, 'What ours must show'),
    make('div', { class: 'card' }, table(['', 'measured', 'must', 'aim', 'met?'], rows)),
  )
}

/** Work per CPU-second over that of the backend itself, all cases under each other. */
function ratios() {
  const found = result.cases.filter((each) => figureOf(each, 'ratio'))
  if (found.length === 0) return
  const bars = make('div', { class: 'bars' })
  // HAProxy only passes bytes and would make every other bar tiny: it is in the tables.
  const most = Math.max(1.1, ...found.map((each) => Math.min(3, median(figureOf(each, 'ratio').values))))
  for (const each of found) {
    const track = make('div', { class: 'track' })
    for (const [name, of] of [
      ['ratio', 'edge'],
      ['ratio-other', 'other'],
    ]) {
      const figure = figureOf(each, name)
      if (figure === undefined) continue
      const share = Math.min(1, median(figure.values) / most)
      track.append(
        make('i', { style: `--of: var(--${of}); width: ${share * 78}%` }),
        make('b', {}, figure.text),
      )
    }
    track.append(
      make('div', { class: 'mark', style: `left: ${78 / most}%`, title: 'as cheap as the backend itself' }),
    )
    bars.append(make('span', {}, each.name), track)
  }
  main.append(
    make('h2', {}, 'Work per CPU-second, the edge over the backend itself'),
    make(
      'div',
      { class: 'card' },
      make('p', { class: 'quiet' }, 'Dotted line: as cheap as serving without a proxy. Longer is better.'),
      bars,
    ),
  )
}

/** Which process the machine's CPU time went to. */
function shares() {
  const names = ['edge', 'backend', 'load']
  const bars = make('div', { class: 'bars' })
  for (const each of result.cases) {
    const runs = each.runs.filter((run) => run.subject === 'edge' && run.round > 0 && run.cpuByPart.load)
    if (runs.length === 0) continue
    const parts = names.map((name) => median(runs.map((run) => run.cpuByPart[name] ?? 0)))
    const sum = parts.reduce((a, b) => a + b, 0)
    const track = make('div', { class: 'track' })
    for (const [i, name] of names.entries()) {
      const share = parts[i] / sum
      if (!(share > 0)) continue
      const label = share > 0.06 ? `${Math.round(share * 100)} %` : ''
      track.append(
        make(
          'i',
          {
            class: name,
            style: `--of: var(--${name}); width: ${share * 100}%`,
            title: `${name}: ${number(parts[i])} CPU-s`,
          },
          label,
        ),
      )
    }
    bars.append(make('span', {}, each.name), track)
  }
  if (bars.children.length === 0) return
  main.append(
    make('h2', {}, 'CPU share by process, through the edge'),
    make('div', { class: 'card' }, keys(names), bars),
  )
}

/** Where the edge's own CPU time goes. */
function profiles() {
  if (result.profiles.length === 0) return
  main.append(make('h2', {}, 'CPU share by part of the edge'))
  const pair = make('div', { class: 'pair' })
  for (const each of result.profiles) {
    const bars = make('div', { class: 'bars' })
    const most = Math.max(...each.rooms.map(({ share }) => share))
    for (const { room, share, top } of each.rooms) {
      if (share < 0.005) continue
      const title = top.map((one) => `${(one.share * 100).toFixed(1)} % ${one.name}`).join('\n')
      const track = make('div', { class: 'track', title })
      track.append(
        make('i', { style: `--of: var(--edge); width: ${(share / most) * 75}%` }),
        make('b', {}, `${(share * 100).toFixed(1)} %`),
      )
      bars.append(make('span', {}, room), track)
    }
    const all = each.userSeconds + each.systemSeconds
    const kernel = `${Math.round((each.systemSeconds / all) * 100)} % of ${number(all)} CPU-s in the kernel`
    pair.append(
      make(
        'div',
        { class: 'card' },
        make('h3', {}, each.name),
        make('p', { class: 'quiet' }, `self time by room; ${kernel}`),
        bars,
      ),
    )
  }
  main.append(pair)
}

/** The lines of one case as a plot; colours follow light and dark when the page is drawn. */
function plot(each, series) {
  const card = make(
    'div',
    { class: 'card' },
    make('h3', {}, each.name),
    make('p', { class: 'quiet' }, each.title),
  )
  const xs = [...new Set(series.flatMap(({ points }) => points.map(([x]) => x)))].sort((a, b) => a - b)
  const columns = series.map(({ points }) => {
    const at = new Map(points)
    return xs.map((x) => at.get(x) ?? null)
  })
  const { xUnit, yUnit } = series[0]
  const axis = {
    stroke: colour('quiet'),
    grid: { stroke: colour('line'), width: 1 },
    ticks: { stroke: colour('line'), width: 1 },
    font: '12px system-ui, sans-serif',
    labelFont: '12px system-ui, sans-serif',
    labelSize: 20,
  }
  const logarithmic = series[0].plot === 'latency'
  const options = {
    width: 460,
    height: 280,
    scales: {
      x: { time: false },
      y: logarithmic ? { distr: 3, log: 10 } : { range: (_, low, high) => [0, Math.max(high * 1.05, 1)] },
    },
    axes: [
      { ...axis, label: xUnit },
      {
        ...axis,
        label: yUnit,
        size: 54,
        ...(logarithmic && {
          values: (_, splits) =>
            splits.map((v) =>
              v === null || !/^[125]/.test(String(v / 10 ** Math.floor(Math.log10(v) + 1e-9)).slice(0, 3))
                ? ''
                : String(v),
            ),
        }),
      },
    ],
    series: [
      { label: xUnit, value: (_, value) => (value === null ? '–' : number(value)) },
      ...series.map(({ label, subject }) => ({
        label,
        stroke: colour(subject),
        width: 2,
        ...(label.endsWith('p99') && { dash: [5, 4] }),
        spanGaps: true,
        points: { show: xs.length < 12, size: 6 },
        value: (_, value) => (value === null || value === undefined ? '–' : `${number(value)} ${yUnit}`),
      })),
    ],
  }
  const place = make('div')
  card.append(place)
  const drawn = new uPlot(options, [xs, ...columns], place)
  new ResizeObserver(() => drawn.setSize({ width: Math.max(280, place.clientWidth), height: 280 })).observe(
    place,
  )
  return card
}

function plots(kind, title) {
  const pair = make('div', { class: 'pair' })
  main.append(make('h2', {}, title), pair)
  for (const each of result.cases) {
    const series = each.series.filter((one) => one.plot === kind && one.points.length > 1)
    if (series.length > 0) pair.append(plot(each, series))
  }
  if (pair.children.length === 0) {
    pair.previousSibling.remove()
    pair.remove()
  }
}

function cases() {
  main.append(make('h2', {}, 'All cases'))
  for (const each of result.cases) {
    const card = make(
      'div',
      { class: 'card' },
      make('h3', {}, each.name),
      make('p', { class: 'quiet' }, [each.title, ...each.notes].join(' · ')),
    )
    const rows = subjects.flatMap((subject) => {
      const runs = each.runs.filter((run) => run.subject === subject && run.round > 0)
      if (runs.length === 0) return []
      const of = (read) => number(median(runs.map(read).filter((value) => value !== null)))
      return [
        [
          make('td', {}, make('span', { class: 'key', style: `--of: var(--${subject})` }, subject)),
          of((run) => (run.blocks || run.work) / run.seconds),
          of((run) => run.bytes / run.seconds / 2 ** 20),
          of((run) => run.p50Ms),
          of((run) => run.p99Ms),
          String(runs.reduce((sum, run) => sum + run.lost, 0)),
          of((run) => run.cpuSeconds),
          of((run) => run.work / run.cpuSeconds),
          of((run) => run.peakBytes / 2 ** 20),
        ],
      ]
    })
    const unit = each.unit === 'MiB' ? 'blocks' : each.unit
    if (rows.length > 0)
      card.append(
        table(
          ['', `${unit}/s`, 'MiB/s', 'p50 ms', 'p99 ms', 'lost', 'CPU s', `${each.unit}/CPU-s`, 'peak MiB'],
          rows,
        ),
      )
    if (each.figures.length > 0) {
      const figures = table(
        ['', 'median (least–most)'],
        each.figures.map(({ title, text }) => [title, text]),
      )
      card.append(rows.length > 0 ? make('details', {}, make('summary', {}, 'figures'), figures) : figures)
    }
    main.append(card)
  }
}

head()
goals()
ratios()
plots('latency', 'Latency over rate')
plots('memory', 'Memory over time')
shares()
profiles()
cases()
// Canvas does not follow the style by itself.
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => location.reload())
