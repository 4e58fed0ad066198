/**
 * Native addons inside the executable. Packages look for their `.node` file at run time, in ways that only
 * work next to a node_modules folder; `bun build --compile` embeds one only where it is imported by a static
 * path. So each package's loader is replaced by exactly that, for the target at hand.
 */

import { dirname, join } from 'node:path'
import type { BunPlugin } from 'bun'
import type { Target } from './targets.ts'

/** Returns the plugin that embeds the addons of `target`. */
export function embedAddons(target: Target): BunPlugin {
  return {
    name: 'embed-addons',
    setup(build) {
      build.onLoad({ filter: /[\\/]sodium-native[\\/]binding\.js$/ }, ({ path }) => ({
        loader: 'js',
        contents: sodiumLoader(target, dirname(path)),
      }))
      // What Helia would make itself a host of (WebRTC's addon, a DHT, ACME) does not even load from within an
      // executable. The one user of Helia in here, the demo, gives it a host.
      build.onLoad({ filter: /[\\/]@helia[\\/]libp2p[\\/].*libp2p-defaults\.js$/ }, () => ({
        loader: 'js',
        contents: 'export const libp2pDefaults = (given) => given',
      }))
    },
  }
}

function sodiumLoader(target: Target, packageDir: string): string {
  if (target.sodium === undefined) return `throw new Error('no sodium-native for ${target.name}')`
  const addon = join(packageDir, 'prebuilds', target.sodium, 'sodium-native.node')
  return `module.exports = require(${JSON.stringify(addon)})`
}
