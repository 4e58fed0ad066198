/** Compiled by the build's test: says which cipher an executable gets. */
import { nativeNoise } from '#src/p2p/noise/noise.ts'

console.log(nativeNoise().aead)
