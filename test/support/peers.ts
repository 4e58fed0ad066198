/**
 * Which real peers this machine can run, and what becomes of a test whose peer is absent: it is skipped with
 * a printed reason, or, where `KITSUNE_TEST_REQUIRE_PEERS=1` is set (CI), loading its file fails.
 */
import { chromiumAvailable } from '#test/support/chromium.ts'
import { goAvailable } from '#test/support/go-peer.ts'
import { jsIpfsAvailable } from '#test/support/js-ipfs-peer.ts'
import { haproxyAvailable, nginxAvailable, nginxStreamAvailable } from '#test/support/proxies.ts'

const peers = {
  go: { available: goAvailable, needs: 'go on PATH' },
  chromium: { available: chromiumAvailable, needs: "Debian's chromium, and openssl on PATH" },
  'js-ipfs': { available: jsIpfsAvailable, needs: 'Node >=20 <23 as node on PATH' },
  haproxy: { available: haproxyAvailable, needs: 'haproxy on PATH (Debian package haproxy)' },
  'nginx-stream': {
    available: nginxStreamAvailable,
    needs: 'the Debian packages nginx-light and libnginx-mod-stream',
  },
  nginx: { available: nginxAvailable, needs: 'nginx on PATH (Debian package nginx-light)' },
} as const

/** A real peer that tests may need. */
export type PeerName = keyof typeof peers

/**
 * Returns whether a peer can be run here, for `describe.skipIf(!requirePeer('go'))(…)`.
 * Says on stderr what is missing; throws instead where absent peers are a failure.
 */
export function requirePeer(name: PeerName): boolean {
  const { available, needs } = peers[name]
  if (available()) return true
  const reason = `the ${name} peer needs ${needs}`
  if (process.env.KITSUNE_TEST_REQUIRE_PEERS === '1') {
    throw new Error(`${reason}, and KITSUNE_TEST_REQUIRE_PEERS=1 does not let its tests be skipped`)
  }
  console.error(`skipped: ${reason}`)
  return false
}
