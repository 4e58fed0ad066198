// Makes every TCP connection of this process, its HTTP requests included, come from one loopback address.
import { Socket } from 'node:net'

/** Connects from `address` (127.0.0.x) from now on. */
export function connectFrom(address) {
  const connect = Socket.prototype.connect
  Socket.prototype.connect = function connectFromAddress(...args) {
    // net.connect() hands its arguments on as one normalized array.
    const options = Array.isArray(args[0]) ? args[0][0] : args[0]
    if (options !== null && typeof options === 'object' && options.port) options.localAddress ??= address
    return connect.apply(this, args)
  }
}
