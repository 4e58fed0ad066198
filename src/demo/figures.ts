import { KitsuneError } from '#src/util/errors.ts'

/** What backends gave, by the name of the backend. */
export type Figures = ReadonlyMap<string, { readonly blocks: number; readonly bytes: number }>

/** One backend, as the admin API tells it. */
export interface BackendState {
  readonly name: string
  readonly state: string
  readonly blocks: number
  readonly bytes: number
}

/** Asks the edge's admin API for its backends: the demo knows no more than any operator. */
export async function readBackends(adminUrl: string, signal: AbortSignal): Promise<readonly BackendState[]> {
  const response = await fetch(`${adminUrl}/backends`, { signal })
  if (!response.ok) {
    throw new KitsuneError('DEMO_ADMIN_FAILED', 'The admin API of the edge did not answer as it should', {
      facts: { status: response.status },
    })
  }
  return ((await response.json()) as { backends: BackendState[] }).backends
}

/** Returns what was added between two readings; backends that gave nothing in between are left out. */
export function added(before: Figures, after: Figures): Figures {
  const difference = new Map<string, { blocks: number; bytes: number }>()
  for (const [name, { blocks, bytes }] of after) {
    const earlier = before.get(name) ?? { blocks: 0, bytes: 0 }
    if (blocks > earlier.blocks) {
      difference.set(name, { blocks: blocks - earlier.blocks, bytes: bytes - earlier.bytes })
    }
  }
  return difference
}
