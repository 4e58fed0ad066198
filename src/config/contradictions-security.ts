import { type Environment, type Problem, problem } from '#src/config/environment.ts'
import { type DoorKind, doorsOf } from '#src/config/listen.ts'
import type { Values } from '#src/config/schema.ts'

/** Doors below which there is a place for a swarm key: the others bring an encryption of their own. */
const privateKinds: readonly DoorKind[] = ['tcp', 'ws', 'wss']

/** Returns what is wrong about private networks. */
export function securityFaults(values: Values, env: Environment): Problem[] {
  const problems: Problem[] = []
  if (values.swarmKey !== undefined) {
    for (const { address, kind } of doorsOf(values.listen ?? [], values.listenOptional ?? [])) {
      if (privateKinds.includes(kind)) continue
      const message = `cannot be in a private network, which KITSUNE_SWARM_KEY makes: only ${privateKinds.join(', ')} can; leave the address out, or the key`
      problems.push(problem('listen', address, message))
    }
  }
  // As go-libp2p has it: who sets this would rather have nothing than a public node.
  if (env.LIBP2P_FORCE_PNET !== '1') return problems
  for (const key of ['swarmKey', 'backSwarmKey'] as const) {
    if (values[key] !== undefined) continue
    problems.push(problem(key, 'nothing', 'is not set, and LIBP2P_FORCE_PNET=1 asks for a private network'))
  }
  return problems
}
