import { type Parsed, refused, taken } from '#src/config/parsed.ts'

/*
 * The file that makes a libp2p network private, as Kubo has it (specs/pnet/Private-Networks-PSK-V1.md, and Kubo's
 * swarm.key): a line that says what it is, a line that says how the key is written, the key.
 */

const header = '/key/swarm/psk/1.0.0/'
const keyBytes = 32

type Encoding = (body: string) => Uint8Array | undefined

const encodings: Readonly<Record<string, Encoding>> = {
  '/base16/': (body) => (/^[0-9a-f]*$/i.test(body.trim()) ? Buffer.from(body.trim(), 'hex') : undefined),
  '/base64/': (body) => (/^[\w+/=-]*$/.test(body.trim()) ? Buffer.from(body.trim(), 'base64') : undefined),
  '/bin/': (body) => Buffer.from(body, 'latin1'),
}

/** Returns the 32 bytes of the key; `text` has a character per byte. */
export function parseSwarmKey(text: string): Parsed<Uint8Array> {
  // In an environment spaces are easier to write than ends of lines.
  const [, first = '', second = '', body = ''] = /^(\S*)\s+(\S*)(?:\r?\n|\s|$)(.*)$/s.exec(text) ?? []
  if (first !== header) return refused(`is no swarm key: it does not begin with ${header}`)
  const decode = encodings[second]
  if (decode === undefined)
    return refused(`is a swarm key of a kind that is none of ${Object.keys(encodings).join(', ')}`)
  const key = decode(body)
  if (key === undefined) return refused(`has a key that is not written in ${second.slice(1, -1)}`)
  // Editors end a file with a newline; Kubo reads no further than the key either.
  const whole = second === '/bin/' ? key.subarray(0, keyBytes) : key
  return whole.length === keyBytes
    ? taken(new Uint8Array(whole))
    : refused(`has a key of ${whole.length} bytes; it must be ${keyBytes}`)
}

/** Returns the file of a key, as Kubo writes it. */
export function formatSwarmKey(key: Uint8Array): string {
  return `${header}\n/base16/\n${Buffer.from(key).toString('hex')}\n`
}
