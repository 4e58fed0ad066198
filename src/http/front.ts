/**
 * What the front's WebSocket port says to plain HTTP. It is public: no version, no address, no state of the pool.
 *
 * | method and path | answer                                          |
 * |-----------------|-------------------------------------------------|
 * | GET /healthz    | 200, text `ok`, while the process lives         |
 * | GET /           | 200, a short page that says what this port is   |
 */
import type { Hono } from 'hono'
import { strictRoutes } from '#src/http/strict-routes.ts'

const page = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Kitsune</title>
<h1>Kitsune</h1>
<p>This port serves IPFS nodes, not browsers: libp2p over WebSocket. Give its multiaddr to an IPFS
client to fetch content through it.</p>
</html>
`

/** Returns the app for requests of the front's web port that are no WebSocket upgrades. */
export function createFrontWeb(): Hono {
  return strictRoutes([
    { path: '/healthz', methods: ['GET'], answer: (context) => context.text('ok') },
    {
      path: '/',
      methods: ['GET'],
      answer: (context) => context.html(page, 200, { 'content-security-policy': "default-src 'none'" }),
    },
  ])
}
