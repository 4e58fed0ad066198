/** One door on the page: what is being done there, how fast, and what was checked. */
import type { BrowserDoor, VisitPlan, VisitStep } from './doors-visit.ts'

const about: Readonly<Record<BrowserDoor, readonly [title: string, text: string]>> = {
  ws: ['WebSocket', 'Plain. For pages that are plain themselves, and behind a proxy that ends TLS.'],
  wss: ['Secure WebSocket', 'With a certificate of the usual kind; dialled by js-ipfs and Helia everywhere.'],
  'webrtc-direct': [
    'WebRTC direct',
    'UDP, without a certificate authority: the address says what to expect.',
  ],
  webtransport: ['WebTransport', 'HTTP/3 over QUIC, with certificates that roll; the address says which.'],
}

/** What a row is about; `data-step` in the page. */
type Row = 'connect' | 'fetch' | 'add' | 'keep'

const rows: readonly (readonly [Row, string])[] = [
  ['connect', 'Connect'],
  ['fetch', 'Fetch'],
  ['add', 'Add'],
  ['keep', 'Keep'],
]

export class Card {
  readonly element = make('article')
  readonly #plan: VisitPlan
  readonly #outcome = make('output', 'outcome')
  readonly #notes = new Map<Row, HTMLElement>()

  constructor(plan: VisitPlan) {
    this.#plan = plan
    const [title, text] = about[plan.door]
    this.element.id = plan.door
    const address = make('code', 'address', plan.address)
    address.title = plan.address
    const head = make('header')
    head.append(make('h2', '', title), this.#outcome)
    this.element.append(head, make('p', 'about', text), address, this.#steps())
    this.element.dataset['state'] = 'waiting'
  }

  begin(): void {
    this.element.dataset['state'] = 'running'
    this.#mark('connect', 'running', 'dialling …')
  }

  show(step: VisitStep): void {
    switch (step.kind) {
      case 'connected':
        this.#mark('connect', 'done', `${milliseconds(step.ms)}, identified`)
        this.#fact('connect', 'peer', step.peer)
        this.#mark('fetch', 'running', `0 of ${mebibytes(this.#plan.file.bytes)}`, 0)
        break
      case 'fetching': {
        const { bytes } = this.#plan.file
        this.#mark(
          'fetch',
          'running',
          `${mebibytes(step.bytes)} of ${mebibytes(bytes)}, ${rate(step)}`,
          step.bytes / bytes,
        )
        break
      }
      case 'fetched':
        this.#mark('fetch', 'done', `${mebibytes(step.bytes)} in ${milliseconds(step.ms)}, ${rate(step)}`, 1)
        this.#fact('fetch', 'sha256', step.sha256, 'as it must be')
        this.#mark('add', 'running', 'hashing …')
        break
      case 'added':
        this.#mark('add', 'done', `${mebibytes(step.bytes)}, ${step.blocks} blocks`)
        this.#fact('add', 'cid', step.cid)
        this.#fact('add', 'sha256', step.sha256)
        this.#blocks = step.blocks
        this.#mark('keep', 'running', 'asking …', 0)
        break
      case 'keeping':
        this.#mark('keep', 'running', `${step.blocks} of ${this.#blocks} blocks`, step.blocks / this.#blocks)
        break
      case 'kept':
        this.#mark(
          'keep',
          'done',
          `all ${step.blocks} blocks are with a backend, after ${milliseconds(step.ms)}`,
          1,
        )
    }
  }

  #blocks = 0

  end(): void {
    this.element.dataset['state'] = 'done'
    this.#outcome.textContent = 'done'
  }

  fail(error: unknown): void {
    this.element.dataset['state'] = 'failed'
    const running = this.element.querySelector<HTMLElement>('li[data-state=running]')
    if (running !== null) running.dataset['state'] = 'failed'
    this.#outcome.textContent = 'failed'
    this.element.append(
      make('pre', 'fault', error instanceof Error ? `${error.name}: ${error.message}` : `${error}`),
    )
  }

  #steps(): HTMLElement {
    const list = make('ol')
    for (const [row, label] of rows) {
      const item = make('li')
      item.dataset['step'] = row
      item.dataset['state'] = 'waiting'
      const note = make('span', 'note')
      this.#notes.set(row, note)
      item.append(make('strong', '', label), note)
      if (row === 'fetch' || row === 'keep')
        item.append(Object.assign(document.createElement('progress'), { value: 0 }))
      list.append(item)
    }
    return list
  }

  #mark(row: Row, state: 'running' | 'done', note: string, share?: number): void {
    const noted = this.#notes.get(row)!
    noted.textContent = note
    const item = noted.closest('li')!
    item.dataset['state'] = state
    const bar = item.querySelector('progress')
    if (bar !== null && share !== undefined) bar.value = share
  }

  #fact(row: Row, name: string, value: string, verdict?: string): void {
    const line = make('span', `fact ${name}`)
    const code = make('code', name, value)
    code.title = value
    line.append(make('small', '', name), code)
    if (verdict !== undefined) line.append(make('small', 'verdict', verdict))
    this.#notes.get(row)!.closest('li')!.append(line)
  }
}

function make(tag: string, name = '', text = ''): HTMLElement {
  const element = document.createElement(tag)
  if (name !== '') element.className = name
  element.textContent = text
  return element
}

function milliseconds(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`
}

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`
}

function rate({ bytes, ms }: { bytes: number; ms: number }): string {
  return `${(bytes / 1000 / Math.max(ms, 1)).toFixed(1)} MB/s`
}
