/*
 * The page for people who open the port in a browser: what it is and how to use it, and nothing of the inside.
 */

/** Returns the page; `preloads` says whether refs is served. */
export function homePage(preloads: boolean): string {
  return page(preloads ? preloading : '')
}

const page = (more: string): string => `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Kitsune</title>
<h1>Kitsune</h1>
<p>This port serves IPFS nodes, in web pages and elsewhere: it speaks libp2p over WebSocket. Fetch content through it
over Bitswap, like from any peer, at <code>/dns4/THIS-HOST/tcp/443/wss/p2p/PEER-ID</code>. Whoever runs it can tell you
its peer ID.</p>
${more}</html>
`

const preloading = `<h2>A preload node for js-ipfs</h2>
<pre>
create({
  preload: { enabled: true, addresses: ['/dns4/THIS-HOST/tcp/443/https'] },
  config: { Bootstrap: ['/dns4/THIS-HOST/tcp/443/wss/p2p/PEER-ID'] },
})
</pre>
<p>What you add is fetched from your node while it is connected, and stays available when it has left.</p>
<h2>By hand</h2>
<pre>
curl -X POST 'https://THIS-HOST/api/v0/refs?r=true&amp;arg=CID'
</pre>
<p>lists the links under a CID, and ends when all of it is here.</p>
`
