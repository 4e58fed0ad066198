import { type RequestOptions, request } from 'node:http'
import type { AdminListen } from '#src/config/addresses.ts'
import { KitsuneError } from '#src/util/errors.ts'

/** What the admin API answered. */
export interface AdminAnswer {
  readonly status: number
  readonly body: string
}

const timeoutMs = 3_000
/** Metrics and the state of sixteen lanes to a hundred backends are far below. */
const maxBytes = 8 * 1024 ** 2

/** Asks the edge that runs on this machine; rejects where none answers, in time and in full. */
export function askAdmin(at: AdminListen, path: string): Promise<AdminAnswer> {
  return new Promise((resolve, reject) => {
    const asked = request({ ...placeOf(at), path, agent: false }, (response) => {
      const pieces: Buffer[] = []
      let bytes = 0
      response.on('data', (piece: Buffer) => {
        pieces.push(piece)
        bytes += piece.length
        if (bytes > maxBytes) asked.destroy(new Error('its answer is too long'))
      })
      response.on('end', () => {
        clearTimeout(timer)
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(pieces).toString('utf8') })
      })
      response.on('error', reject)
    })
    const timer = setTimeout(() => asked.destroy(new Error('no answer in time')), timeoutMs)
    asked.on('error', (error) => {
      clearTimeout(timer)
      reject(error)
    })
    asked.end()
  })
}

/** Returns the JSON object at `path`; rejects with `ADMIN_UNKNOWN` where it is somebody else who answers. */
export async function readAdmin(at: AdminListen, path: string): Promise<Record<string, unknown>> {
  const { status, body } = await askAdmin(at, path)
  try {
    const value: unknown = JSON.parse(body)
    if (status === 200 && typeof value === 'object' && value !== null && !Array.isArray(value))
      return value as Record<string, unknown>
  } catch {
    // Falls through: whatever it is, it is not an edge.
  }
  throw new KitsuneError('ADMIN_UNKNOWN', 'what answers is not the admin API of an edge', {
    facts: { status },
  })
}

/** Who listens everywhere is asked at home. */
function placeOf(at: AdminListen): RequestOptions {
  if ('path' in at) return { socketPath: at.path }
  const home: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' }
  return { host: home[at.host] ?? at.host, port: at.port }
}
