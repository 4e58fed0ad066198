/**
 * One look at a backend, as an operator would do by hand: does its RPC answer, does it answer a libp2p dial, is
 * it who it should be. Used by `validate --connect` and `doctor`.
 *
 * Makes a throwaway identity and one connection, both gone when it returns.
 */

import { generateKeyPair } from '@libp2p/crypto/keys'
import type { IdentifyResult, PeerId } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import type { Ping } from '@libp2p/ping'
import { CODE_P2P, multiaddr } from '@multiformats/multiaddr'
import type { Libp2p } from 'libp2p'
import type { BackendConfig, ConnectionSecurity } from '#src/config/config.ts'
import { remoteHost } from '#src/p2p/addresses.ts'
import { createLaneHost } from '#src/p2p/host.ts'
import { KuboRpc } from '#src/rpc/kubo.ts'
import { usableAddresses } from '#src/rpc/swarm-addresses.ts'
import { describeError } from '#src/util/errors.ts'

/** What a backend answered, or why that is not good enough, in words for an operator. */
export type ProbeResult =
  | ({ readonly ok: true; readonly peerId: string; readonly ms: number } & Seen)
  | { readonly ok: false; readonly reason: string }

/** What a dialled backend told; whatever it did not tell in time is absent. */
export interface Seen {
  readonly agent?: string
  /** The IP address that we come from, as it sees it. */
  readonly observed?: string
  /** Of one ping on a connection that was up. */
  readonly pingMs?: number
}

export interface ProbeOptions {
  /** Bounds the RPC and the dial each. */
  readonly timeoutMs: number
  /** What secures the connection, as the lanes have it. */
  readonly security: ConnectionSecurity
}

/** Looks at one backend and never throws. */
export async function probeBackend(backend: BackendConfig, options: ProbeOptions): Promise<ProbeResult> {
  const begunAt = performance.now()
  const found = await findBackend(backend, options.timeoutMs)
  if (!found.ok) return found
  const dialled = await dialFirst(found.addresses, found.peerId, options)
  if (!dialled.ok) return dialled
  const agent = dialled.agent ?? found.agent
  const ms = performance.now() - begunAt
  return { ...dialled, peerId: found.peerId, ...(agent !== undefined && { agent }), ms }
}

type Failure = { readonly ok: false; readonly reason: string }
type Found = { readonly ok: true; peerId: string; addresses: readonly string[]; agent?: string }

async function findBackend(backend: BackendConfig, timeoutMs: number): Promise<Found | Failure> {
  if (backend.kind === 'multiaddr') {
    return { ok: true, peerId: peerIdIn(backend.multiaddr), addresses: [backend.multiaddr] }
  }
  const { url, authorization } = backend
  const rpc = new KuboRpc({
    url,
    idTimeoutMs: timeoutMs,
    ...(authorization !== undefined && { authorization }),
  })
  try {
    const { id, addresses, agentVersion } = await rpc.id()
    const usable = usableAddresses(addresses, new URL(url).hostname)
    if (usable.length > 0) {
      return { ok: true, peerId: id, addresses: usable, ...(agentVersion && { agent: agentVersion }) }
    }
    return {
      ok: false,
      reason: `its RPC answers, but it has no TCP swarm address: ${addresses.join(' ') || 'none'}`,
    }
  } catch (error) {
    return { ok: false, reason: describeError(error) }
  }
}

type Dialled = { readonly ok: true } & Seen

async function dialFirst(
  addresses: readonly string[],
  peerId: string,
  { timeoutMs, security }: ProbeOptions,
): Promise<Dialled | Failure> {
  const privateKey = await generateKeyPair('Ed25519')
  const node = await createLaneHost({ privateKey, version: 'probe', security })
  const failures: string[] = []
  try {
    // One deadline for all of them: a backend that lists ten dead addresses is not ten times as slow to judge.
    const signal = AbortSignal.timeout(timeoutMs)
    for (const address of addresses) {
      const outcome = await dial(node, address, peerId, signal)
      if (outcome.ok) return outcome
      failures.push(`${address}: ${outcome.reason}`)
      if (signal.aborted) break
    }
    return { ok: false, reason: `no swarm address answers as it should: ${failures.join('; ')}` }
  } finally {
    await node.stop()
  }
}

async function dial(
  node: Libp2p,
  address: string,
  peerId: string,
  signal: AbortSignal,
): Promise<Dialled | Failure> {
  try {
    const identified = identifiedBy(node, signal)
    // Without the peer ID, so that a wrong one can be named instead of failing the handshake.
    const connection = await node.dial(multiaddr(address).decapsulateCode(CODE_P2P), { signal })
    // Compared as IDs: there are two ways to write one.
    const { remotePeer } = connection
    if (!remotePeer.equals(peerIdFromString(peerId))) return { ok: false, reason: `answers as ${remotePeer}` }
    const told = await identified
    const agent = told?.agentVersion
    const observed = told?.observedAddr && remoteHost(told.observedAddr)
    const pingMs = await pinged(node, remotePeer, signal)
    return {
      ok: true,
      ...(agent !== undefined && { agent }),
      ...(observed && { observed }),
      ...(pingMs !== undefined && { pingMs }),
    }
  } catch (error) {
    return { ok: false, reason: dialFault(error, signal) }
  }
}

/** What identify tells, `undefined` if it tells nothing in time: identity is proved without it. */
function identifiedBy(node: Libp2p, signal: AbortSignal): Promise<IdentifyResult | undefined> {
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(undefined), { once: true })
    node.addEventListener('peer:identify', (event: CustomEvent<IdentifyResult>) => resolve(event.detail), {
      once: true,
    })
  })
}

function pinged(node: Libp2p, peer: PeerId, signal: AbortSignal): Promise<number | undefined> {
  const { ping } = node.services as unknown as { ping: Ping }
  return ping.ping(peer, { signal }).catch(() => undefined)
}

function dialFault(error: unknown, signal: AbortSignal): string {
  if (signal.aborted) return 'no answer in time'
  const causes = error instanceof AggregateError ? error.errors : [error]
  const text = causes.map(describeError).join(', ')
  return /ECONNREFUSED|refused/i.test(text) ? 'connection refused' : text
}

function peerIdIn(address: string): string {
  const last = multiaddr(address)
    .getComponents()
    .findLast((component) => component.code === CODE_P2P)
  return last?.value ?? ''
}
