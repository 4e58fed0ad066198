/**
 * One look at a backend, as an operator would do by hand: does its RPC answer, does it answer a libp2p dial, is
 * it who it should be. Used by `validate --connect`.
 *
 * Makes a throwaway identity and one connection, both gone when it returns.
 */

import { generateKeyPair } from '@libp2p/crypto/keys'
import type { IdentifyResult } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { CODE_P2P, multiaddr } from '@multiformats/multiaddr'
import type { Libp2p } from 'libp2p'
import type { BackendConfig } from '#src/config/config.ts'
import { createLaneHost } from '#src/p2p/host.ts'
import { KuboRpc } from '#src/rpc/kubo.ts'
import { usableAddresses } from '#src/rpc/swarm-addresses.ts'
import { describeError } from '#src/util/errors.ts'

/** What a backend answered, or why that is not good enough, in words for an operator. */
export type ProbeResult =
  | { readonly ok: true; readonly peerId: string; readonly agent?: string; readonly ms: number }
  | { readonly ok: false; readonly reason: string }

/** Looks at one backend and never throws. `timeoutMs` bounds the RPC and the dial each. */
export async function probeBackend(
  backend: BackendConfig,
  options: { readonly timeoutMs: number },
): Promise<ProbeResult> {
  const begunAt = performance.now()
  const found = await findBackend(backend, options.timeoutMs)
  if (!found.ok) return found
  const dialled = await dialFirst(found.addresses, found.peerId, options.timeoutMs)
  if (!dialled.ok) return dialled
  const agent = dialled.agent ?? found.agent
  const ms = performance.now() - begunAt
  return { ok: true, peerId: found.peerId, ...(agent !== undefined && { agent }), ms }
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

type Dialled = { readonly ok: true; readonly agent?: string }

async function dialFirst(
  addresses: readonly string[],
  peerId: string,
  timeoutMs: number,
): Promise<Dialled | Failure> {
  const node = await createLaneHost({ privateKey: await generateKeyPair('Ed25519'), version: 'probe' })
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
    const identified = agentOf(node, signal)
    // Without the peer ID, so that a wrong one can be named instead of failing the handshake.
    const connection = await node.dial(multiaddr(address).decapsulateCode(CODE_P2P), { signal })
    // Compared as IDs: there are two ways to write one.
    const { remotePeer } = connection
    if (!remotePeer.equals(peerIdFromString(peerId))) return { ok: false, reason: `answers as ${remotePeer}` }
    const agent = await identified
    return { ok: true, ...(agent !== undefined && { agent }) }
  } catch (error) {
    return { ok: false, reason: dialFault(error, signal) }
  }
}

/** The agent version that identify tells, `undefined` if it tells none in time: identity is proved without it. */
function agentOf(node: Libp2p, signal: AbortSignal): Promise<string | undefined> {
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(undefined), { once: true })
    node.addEventListener(
      'peer:identify',
      (event: CustomEvent<IdentifyResult>) => resolve(event.detail.agentVersion),
      { once: true },
    )
  })
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
