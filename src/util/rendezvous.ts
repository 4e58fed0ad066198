/** Rendezvous (highest random weight) hashing: every observer picks the same order for a key, and taking a
 * name away moves only the keys that it had. */

/** Returns a well-mixed 32-bit hash of `text` (FNV-1a with murmur3's finalizer). Not for secrets. */
export function hash32(text: string, seed = 0): number {
  let h = 0x811c9dc5 ^ seed
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193)
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

/** Returns `items` ordered by their affinity to `key`, the best first. `nameOf` is stable across restarts. */
export function rendezvous<T>(key: string, items: readonly T[], nameOf: (item: T) => string): T[] {
  if (items.length < 2) return [...items]
  const seed = hash32(key)
  return items
    .map((item) => ({ item, weight: hash32(nameOf(item), seed) }))
    .sort((a, b) => b.weight - a.weight)
    .map(({ item }) => item)
}
