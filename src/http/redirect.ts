/**
 * What the port of plain HTTP answers:
 *
 * | GET /.well-known/acme-challenge/TOKEN | 200, the file of that path in the webroot, 404 where there is none    |
 * | GET /healthz                          | 200, text `ok`, while the process lives                               |
 * | anything else                         | 308 to the same by https                                              |
 *
 * Certificate authorities ask for a token by plain HTTP (RFC 8555, section 8.3). Only names that a token can have are
 * looked up, and only plain files are read, so nothing else of the machine can be asked for.
 */

import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'

export interface RedirectDeps {
  /** Where an ACME client puts its tokens: in `.well-known/acme-challenge/` of it. Default: none are served. */
  readonly acmeWebroot?: string | undefined
  /** The port of https as clients know it. */
  readonly httpsPort: () => number
}

const challengePath = '/.well-known/acme-challenge/'
/** A token is base64url (RFC 8555, section 8.3); authorities' have 43 letters. */
const token = /^[A-Za-z0-9_-]{1,256}$/
/** A key authorization has about 90 bytes. */
const maxTokenBytes = 4 * 1024

/** Browsers show scripts nothing of an answer without it, and follow no redirect. */
const common = { 'Access-Control-Allow-Origin': '*', 'Content-Type': 'text/plain; charset=utf-8' }

/** Returns the handler. It never fails. */
export function createRedirect(deps: RedirectDeps): (request: Request) => Promise<Response> {
  return async (request) => {
    const url = new URL(request.url)
    const reads = request.method === 'GET' || request.method === 'HEAD'
    if (reads && url.pathname === '/healthz') return new Response('ok', { headers: common })
    if (reads && deps.acmeWebroot !== undefined && url.pathname.startsWith(challengePath))
      return answerChallenge(deps.acmeWebroot, url.pathname.slice(challengePath.length))
    // Without a name there is nowhere to go.
    if (!request.headers.get('host'))
      return new Response('This server is asked by https.\n', { status: 400, headers: common })
    const port = deps.httpsPort()
    const authority = port === 443 ? url.hostname : `${url.hostname}:${port}`
    const location = `https://${authority}${url.pathname}${url.search}`
    return new Response(null, { status: 308, headers: { ...common, Location: location } })
  }
}

async function answerChallenge(webroot: string, name: string): Promise<Response> {
  const bytes = token.test(name) ? await readSmall(join(webroot, challengePath, name)) : undefined
  if (bytes === undefined) return new Response('not found\n', { status: 404, headers: common })
  return new Response(bytes, { headers: { ...common, 'Content-Type': 'application/octet-stream' } })
}

/** Undefined for what is no plain file, too large, or not there. Nothing that is opened here is waited for. */
async function readSmall(path: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    try {
      const stats = await file.stat()
      if (!stats.isFile() || stats.size > maxTokenBytes) return undefined
      const bytes = new Uint8Array(maxTokenBytes)
      const { bytesRead } = await file.read(bytes, 0, maxTokenBytes, 0)
      return bytes.slice(0, bytesRead)
    } finally {
      await file.close()
    }
  } catch {
    return undefined
  }
}
