/**
 * What the edge that runs on this machine says of itself, by its admin API.
 */

import { askAdmin, readAdmin } from '#src/cli/admin-client.ts'
import type { AdminListen } from '#src/config/addresses.ts'
import { describeError } from '#src/util/errors.ts'

export interface RunningEdge {
  readonly peerId: string
  /** Addresses of its doors that are open. */
  readonly doors: ReadonlySet<string>
  /** Lanes that are up, by the name of the backend. */
  readonly lanesUp: ReadonlyMap<string, number>
}

/** Returns it, or why there is none. */
export async function findRunningEdge(at: AdminListen | undefined): Promise<RunningEdge | string> {
  if (at === undefined) return 'KITSUNE_ADMIN_LISTEN is off'
  try {
    const { ID } = await readAdmin(at, '/api/v0/id')
    const { backends } = await readAdmin(at, '/backends')
    const { body } = await askAdmin(at, '/metrics')
    return { peerId: String(ID), doors: openDoors(body), lanesUp: lanesOf(backends) }
  } catch (error) {
    return describeError(error)
  }
}

function openDoors(metrics: string): Set<string> {
  const lines = metrics.matchAll(/^kitsune_door_open\{[^}]*\baddress="([^"]+)"[^}]*\} 1$/gm)
  return new Set([...lines].map(([, address = '']) => address))
}

function lanesOf(backends: unknown): Map<string, number> {
  const list = Array.isArray(backends) ? (backends as { name?: unknown; lanes?: { up?: unknown } }[]) : []
  return new Map(list.map(({ name, lanes }) => [String(name), Number(lanes?.up ?? 0)]))
}
