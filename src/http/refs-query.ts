import { type Parsed, refused, taken } from '#src/config/parsed.ts'
import { CallArguments } from '#src/http/call-arguments.ts'
import { formatContentPath, parseContentPath, rootOf } from '#src/http/content-path.ts'
import type { KnowsHash } from '#src/relay/ports.ts'
import type { RefsQuery } from '#src/relay/preload/refs.ts'

/** A refs as its caller wants it. */
export interface RefsAsked {
  readonly query: RefsQuery
  readonly timeoutMs: number | undefined
}

/** A format is repeated on every line. */
const maxFormatCharacters = 256
const defaultFormat = '<dst>'

/**
 * Returns what a caller of `/api/v0/refs` asks for, or why that cannot be. As Kubo takes it
 * (https://docs.ipfs.tech/reference/kubo/rpc/#api-v0-refs), but for one `arg` only: each has its own success.
 */
export function parseRefsQuery(query: string, knowsHash: KnowsHash): Parsed<RefsAsked> {
  const options = new CallArguments(query)
  const [arg, ...more] = options.args()
  if (arg === undefined) return refused('argument "arg" is required: the CID, or a path below one')
  if (more.length > 0) return refused('argument "arg" is given more than once; make a call for each')
  const path = parseContentPath(arg)
  if (!path.ok) return refused(`argument "arg" ${path.reason}`)
  const root = rootOf(path.value.cid, knowsHash)
  if (!root.ok) return refused(`argument "arg" ${root.reason}`)

  const recursive = options.flag('recursive', 'r')
  const unique = options.flag('unique', 'u')
  const edges = options.flag('edges', 'e')
  const maxDepth = options.integer(-1, 'max-depth')
  const format = options.text(maxFormatCharacters, 'format')
  const timeoutMs = options.duration('timeout')
  if (edges && format !== '' && format !== defaultFormat) {
    options.refuse('option "format" cannot be used together with "edges"')
  }
  if (options.fault !== undefined) return refused(options.fault)
  return taken({
    query: {
      arg: formatContentPath(path.value),
      root: root.value,
      recursive,
      unique,
      edges,
      maxDepth: recursive ? Math.max(-1, maxDepth) : -1,
      format: format === defaultFormat ? '' : format,
    },
    timeoutMs,
  })
}
