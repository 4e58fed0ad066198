/** The few elements that the report is made of. Text is never markup. */

/** Returns an element with attributes and children. */
export function make(
  tag: string,
  attributes: Readonly<Record<string, string>> = {},
  ...children: readonly (Node | string)[]
): HTMLElement {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value)
  element.append(...children)
  return element
}

/** Returns a table; the first column is to the left. */
export function table(
  head: readonly string[],
  rows: readonly (readonly (HTMLElement | string)[])[],
): HTMLElement {
  const cells = (row: readonly (HTMLElement | string)[], tag: string): HTMLElement =>
    make('tr', {}, ...row.map((cell) => (typeof cell === 'string' ? make(tag, {}, cell) : cell)))
  return make('table', {}, cells(head, 'th'), ...rows.map((row) => cells(row, 'td')))
}

/** Returns what the colours stand for. */
export function keys(names: readonly string[]): HTMLElement {
  return make(
    'p',
    {},
    ...names.map((name) => make('span', { class: 'key', style: `--of: var(--${name})` }, name)),
  )
}

/** Returns a card with a title and a quiet line under it. */
export function card(title: string, quiet: string, ...children: readonly HTMLElement[]): HTMLElement {
  return make(
    'div',
    { class: 'card' },
    make('h3', {}, title),
    make('p', { class: 'quiet' }, quiet),
    ...children,
  )
}

/** Returns a bar of `share` of the width, in the colour of that name. */
export function bar(colour: string, share: number, label = '', title = ''): HTMLElement {
  const style = `--of: var(--${colour}); width: ${share * 100}%`
  return make('i', { class: colour, style, title }, label)
}

/** Returns the colour that the page's style gives a name, as a canvas wants it. */
export function colourOf(name: string): string {
  const probe = make('i', { style: `color: var(--${name})` })
  document.body.append(probe)
  const { color } = getComputedStyle(probe)
  probe.remove()
  return color
}
