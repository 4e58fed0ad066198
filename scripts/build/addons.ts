/**
 * Native addons inside the executable. Packages look for their `.node` file at run time, in ways that only
 * work next to a node_modules folder; `bun build --compile` embeds one only where it is imported by a static
 * path. So each package's loader is replaced by exactly that, for the target at hand.
 */

import { basename, dirname, join } from 'node:path'
import type { BunPlugin } from 'bun'
import { packageDirectory, platformAddons } from './platform-packages.ts'
import type { Target } from './targets.ts'

export interface EmbeddedAddons {
  readonly plugin: BunPlugin
  /** Packages without an addon for the target, or whose addon could not be had. */
  readonly absent: readonly string[]
}

/** Returns the plugin that embeds the addons of `target`, fetching those that are not installed. */
export async function embedAddons(target: Target): Promise<EmbeddedAddons> {
  const [quic, datachannel] = await platformAddons(target, [
    { name: '@chainsafe/libp2p-quic', prefix: '@chainsafe/libp2p-quic-' },
    { name: 'node-datachannel', by: '@libp2p/webrtc', prefix: '@node-datachannel/' },
  ])
  const prebuilt = (packageDir: string, file: string): string | undefined =>
    target.prebuilds && join(packageDir, 'prebuilds', target.prebuilds, file)
  /** An expression that is the addon, or says why there is none. */
  const addon = (name: string, path: string | undefined): string =>
    path === undefined
      ? `(() => { throw new Error(${JSON.stringify(`${name} has no native code for ${target.name} in this executable`)}) })()`
      : `require(${JSON.stringify(path)})`
  const plugin: BunPlugin = {
    name: 'embed-addons',
    setup(build) {
      build.onLoad({ filter: /[\\/]sodium-native[\\/]binding\.js$/ }, ({ path }) => ({
        loader: 'js',
        contents: `module.exports = ${addon('sodium-native', prebuilt(dirname(path), 'sodium-native.node'))}`,
      }))
      // Modules of our own that export `loadAddon` and nothing else.
      const rooms = {
        quic: addon('@chainsafe/libp2p-quic', quic),
        webrtc: addon('node-datachannel', datachannel),
        webtransport: addon(
          'rwebtransport',
          prebuilt(packageDirectory('rwebtransport'), 'rwebtransport.node'),
        ),
      }
      build.onLoad({ filter: /[\\/]src[\\/]p2p[\\/]\w+[\\/]addon\.ts$/ }, ({ path }) => ({
        loader: 'js',
        contents: `export const loadAddon = async () => ${rooms[basename(dirname(path)) as keyof typeof rooms]}`,
      }))
      // What Helia would make itself a host of by default: a DHT, ACME, every transport. The one user of Helia in
      // here, the demo, gives it a host.
      build.onLoad({ filter: /[\\/]@helia[\\/]libp2p[\\/].*libp2p-defaults\.js$/ }, () => ({
        loader: 'js',
        contents: 'export const libp2pDefaults = (given) => given',
      }))
    },
  }
  const absent = [
    ...(quic === undefined ? ['@chainsafe/libp2p-quic'] : []),
    ...(datachannel === undefined ? ['node-datachannel'] : []),
    ...(target.prebuilds === undefined ? ['sodium-native', 'rwebtransport'] : []),
  ]
  return { plugin, absent }
}
