// Tells how each preload request really ended. The node itself does not say: it takes any 2xx for success and
// reads the body without a look at it. Import before ipfs-core, which keeps the fetch it finds.
const ownFetch = globalThis.fetch
const listeners = new Set()

/**
 * Calls `listener` at the end of each refs request with { cid, ok, status, lines, error?, ms }. `ok`: 2xx, a
 * body that ended by itself, and no line in it that says Err. `lines` are the refs listed.
 */
export function onPreloaded(listener) {
  listeners.add(listener)
}

globalThis.fetch = async (resource, init) => {
  const url = new URL(typeof resource === 'string' ? resource : resource.url)
  if (!url.pathname.endsWith('/api/v0/refs')) return ownFetch(resource, init)
  const started = performance.now()
  const tell = (outcome) => {
    const ms = Math.round(performance.now() - started)
    const line = { cid: url.searchParams.get('arg'), ok: false, status: 0, lines: 0, ...outcome, ms }
    for (const listener of listeners) listener(line)
  }
  let response
  try {
    response = await ownFetch(resource, init)
  } catch (err) {
    tell({ error: describe(err) })
    throw err
  }
  const { status, statusText, headers } = response
  if (response.body === null) {
    tell({ ok: response.ok, status })
    return response
  }
  const [theirs, ours] = response.body.tee()
  judge(ours, response.ok).then((outcome) => tell({ status, ...outcome }))
  return new Response(theirs, { status, statusText, headers })
}

async function judge(body, ok) {
  let lines = 0
  let text = ''
  try {
    for await (const part of body.pipeThrough(new TextDecoderStream())) {
      const parts = (text + part).split('\n')
      text = parts.pop()
      if (!ok) continue
      for (const line of parts) {
        const { Err } = JSON.parse(line)
        if (Err) return { ok: false, lines, error: Err }
        lines++
      }
    }
    if (!ok) return { ok, lines, error: text }
    return text === '' ? { ok, lines } : { ok: false, lines, error: `half a line: ${text}` }
  } catch (err) {
    return { ok: false, lines, error: describe(err) }
  }
}

function describe(err) {
  return [err.message, err.cause?.message].filter(Boolean).join(': ')
}
