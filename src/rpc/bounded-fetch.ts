/**
 * One HTTP request whose cost is bounded: the whole of it by a time, the answer by a size, and no redirect is
 * followed. Memory: at most `maxBytes` and one chunk of the answer.
 */

export type Fetch = (url: string, init: RequestInit) => Promise<Response>

export interface BoundedRequest {
  readonly url: string
  /** Without a body. Default POST. */
  readonly method?: 'GET' | 'POST'
  readonly headers: Readonly<Record<string, string>>
  /** From the start to the last byte of the answer. */
  readonly timeoutMs: number
  /** Larger answers are given up at this size. */
  readonly maxBytes: number
  readonly signal?: AbortSignal
}

export type BoundedAnswer =
  | {
      readonly kind: 'answer'
      readonly status: number
      readonly contentType: string
      readonly bytes: Uint8Array
    }
  | { readonly kind: 'timeout' | 'aborted' | 'too-big' }
  | { readonly kind: 'unreachable'; readonly cause: unknown }

/** Makes the request and returns what came of it; never throws. */
export async function boundedFetch(fetch: Fetch, request: BoundedRequest): Promise<BoundedAnswer> {
  const { url, method = 'POST', headers, timeoutMs, maxBytes, signal } = request
  if (signal?.aborted === true) return { kind: 'aborted' }
  const controller = new AbortController()
  let gaveUp: 'timeout' | 'aborted' | undefined
  const giveUp = (kind: 'timeout' | 'aborted') => {
    gaveUp ??= kind
    controller.abort()
  }
  const abort = () => giveUp('aborted')
  const timer = setTimeout(() => giveUp('timeout'), timeoutMs)
  signal?.addEventListener('abort', abort, { once: true })
  try {
    const response = await fetch(url, {
      method,
      headers,
      redirect: 'manual',
      signal: controller.signal,
    })
    const bytes = await readCapped(response, maxBytes)
    if (bytes === undefined) return { kind: 'too-big' }
    return {
      kind: 'answer',
      // A runtime may hide what a redirect says, and its status with it.
      status: response.type === 'opaqueredirect' ? 302 : response.status,
      contentType: response.headers.get('content-type') ?? '',
      bytes,
    }
  } catch (cause) {
    return gaveUp === undefined ? { kind: 'unreachable', cause } : { kind: gaveUp }
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', abort)
  }
}

/** Returns the body, or `undefined` when it is larger; the rest of it is then never read. */
async function readCapped(response: Response, maxBytes: number): Promise<Uint8Array | undefined> {
  if (response.body === null) return new Uint8Array()
  // HTTP ends a body at its announced length, unless that is the length before something was unpacked.
  const announced = Number(response.headers.get('content-length') ?? Number.NaN)
  if (announced <= maxBytes && !response.headers.has('content-encoding')) {
    return new Uint8Array(await response.arrayBuffer())
  }
  const reader = response.body.getReader()
  const chunks: Uint8Array[] = []
  let total = 0
  // The announced length spares the reading, but only the bytes that come are believed.
  let tooBig = announced > maxBytes
  while (!tooBig) {
    const { done, value } = await reader.read()
    if (done) break
    total += value.length
    tooBig = total > maxBytes
    chunks.push(value)
  }
  if (tooBig) {
    // Not awaited: the other side may never confirm.
    reader.cancel().catch(() => {})
    return undefined
  }
  const only = chunks.length === 1 ? chunks[0] : undefined
  if (only !== undefined) return only
  const whole = new Uint8Array(total)
  let at = 0
  for (const chunk of chunks) {
    whole.set(chunk, at)
    at += chunk.length
  }
  return whole
}
