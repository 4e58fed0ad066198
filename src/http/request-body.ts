/**
 * The body of a request. It is read whether it means anything or not: the runtime keeps what nobody reads, however
 * much a client sends. Memory: `maxBytes`.
 */

/** Returns the body; `too-big` when it is larger, announced or not; `cut-off` when it does not come whole. */
export async function readBody(
  request: Request,
  maxBytes: number,
): Promise<Uint8Array | 'too-big' | 'cut-off'> {
  if (Number(request.headers.get('content-length') ?? 0) > maxBytes) return 'too-big'
  if (request.body === null) return new Uint8Array()
  const pieces: Uint8Array[] = []
  let bytes = 0
  const reader = request.body.getReader()
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return Buffer.concat(pieces)
      bytes += value.length
      if (bytes > maxBytes) {
        void discard(reader)
        return 'too-big'
      }
      pieces.push(value)
    }
  } catch {
    return 'cut-off'
  }
}

/**
 * Reads on and keeps nothing, until the server closes the connection: it does soon after its answer, or after 64 MiB.
 * To stop, or to cancel, would make the runtime keep what comes until then.
 */
async function discard(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
  try {
    while (!(await reader.read()).done);
  } catch {
    // Closed.
  }
}
