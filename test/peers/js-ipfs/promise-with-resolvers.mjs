// ipfs-core 0.18.1 with today's dependencies calls Promise.withResolvers, which Node has from 22 on.
Promise.withResolvers ??= function withResolvers() {
  const parts = {}
  parts.promise = new this((resolve, reject) => Object.assign(parts, { resolve, reject }))
  return parts
}
