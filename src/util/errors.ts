/** Where a fault lies: at a client, at a backend, or in this process. */
export type Side = 'client' | 'backend' | 'edge'

/**
 * An error an operator can search for: `code` and `message` are constant, everything that varies is in
 * `facts`. Facts never carry a secret, and carry no client address or CID where they can reach a client.
 */
export class KitsuneError extends Error {
  override readonly name = 'KitsuneError'
  readonly code: string
  readonly side: Side
  readonly facts: Readonly<Record<string, unknown>>

  constructor(
    code: string,
    message: string,
    options: { side?: Side; facts?: Record<string, unknown>; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.side = options.side ?? 'edge'
    this.facts = options.facts ?? {}
  }
}

/** Returns what went wrong as one line, the causes after it: for logs and for people at a terminal. */
export function describeError(error: unknown): string {
  const parts: string[] = []
  let current: unknown = error
  for (let depth = 0; current !== undefined && current !== null && depth < 5; depth++) {
    const text = current instanceof Error ? current.message || current.name : String(current)
    if (!parts.includes(text)) parts.push(text)
    current = current instanceof Error ? current.cause : undefined
  }
  return parts.join(': ')
}

/** Returns what was thrown as an Error: anything can be thrown, and streams are ended with Errors only. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown))
}
