// The seeded content of test/support/seeded-content.ts and test/peers/go/content.go, in plain JavaScript
// because Node 20 runs no TypeScript. test/e2e/peers.test.ts compares the three.

const chunkBytes = 256 * 1024

/** Yields the 256 KiB chunks of the seeded file of so many bytes. */
export function* seededChunks(seed, bytes) {
  for (let index = 0; index * chunkBytes < bytes; index++) {
    yield seededBlock(seed, index, Math.min(chunkBytes, bytes - index * chunkBytes))
  }
}

function seededBlock(seed, index, size) {
  const block = new Uint8Array(Math.ceil(size / 4) * 4)
  const view = new DataView(block.buffer)
  let state = (Math.imul(seed, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b)) >>> 0 || 1
  view.setUint32(0, seed, true)
  if (block.length > 4) view.setUint32(4, index, true)
  for (let at = 8; at < block.length; at += 4) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    view.setUint32(at, state >>> 0, true)
  }
  return block.subarray(0, size)
}
