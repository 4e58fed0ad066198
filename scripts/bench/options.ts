/** The command line of the bench. */
import { parseArgs } from 'node:util'

export interface BenchOptions {
  /** Names, groups and patterns of cases, as given. */
  readonly wanted: readonly string[]
  readonly quick: boolean
  readonly json: string | undefined
  readonly report: string | undefined
  readonly other: string | undefined
  readonly profiles: readonly string[]
  readonly binary: string | undefined
  /** What the clients of every subject offer, where it is not what Go offers: TLS before Noise. */
  readonly security: 'noise' | 'tls' | undefined
  /** How long the soak takes, in minutes. */
  readonly soakMinutes: number
  readonly list: boolean
  readonly help: boolean
}

/** Returns the options, or what is wrong with them. */
export function parseOptions(args: readonly string[]): BenchOptions | { readonly fault: string } {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        quick: { type: 'boolean', default: false },
        json: { type: 'string' },
        report: { type: 'string' },
        other: { type: 'string' },
        profile: { type: 'string', multiple: true, default: [] },
        binary: { type: 'string' },
        security: { type: 'string' },
        'soak-minutes': { type: 'string', default: '5' },
        list: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
    const { profile, json, report, other, binary, security, 'soak-minutes': minutes, ...rest } = values
    if (security !== undefined && security !== 'noise' && security !== 'tls')
      return { fault: `--security is noise or tls, not "${security}"` }
    const soakMinutes = Number(minutes)
    if (!(soakMinutes > 0 && soakMinutes <= 24 * 60))
      return { fault: `--soak-minutes is a number up to 1440, not "${minutes}"` }
    return {
      ...rest,
      json,
      report,
      other,
      binary,
      security,
      soakMinutes,
      profiles: profile,
      wanted: positionals,
    }
  } catch (error) {
    return { fault: (error as Error).message }
  }
}

/** What `--help` prints before the cases. */
export const usage = `Usage: bun run bench [case…] [options]

Measures the compiled edge against the backend behind it. Each case puts the same load on the backend directly and
on the edge in front of it, in turns, and prints work per CPU-second of the process under test as a ratio: such
ratios are steady where absolute figures are not. HAProxy (TCP mode) is measured beside them where it is installed.

Options:
  --quick             one short round of each case: to try things, not to publish
  --json FILE         write all runs and figures
  --report FILE.html  write a page with plots, in one file
  --other 'command'   measure another proxy as well; it gets
                        BENCH_BACKEND      multiaddr of the backend, with /p2p/…
                        BENCH_BACKEND_RPC  its RPC, http://127.0.0.1:PORT
                        BENCH_LISTEN       multiaddr to listen at, /ip4/127.0.0.1/tcp/PORT
                        BENCH_PORT         the port of that
                        BENCH_PORT_WS      a port for ws, if it has that
                        BENCH_DATA_DIR     an empty directory
                      and prints the multiaddr that clients dial, with /p2p/…, once it listens (and one with /ws)
  --profile CASE      run CASE on the edge from source and print its CPU time by room; leaves a .cpuprofile
  --binary FILE       measure this executable instead of building one: an earlier release, say
  --security NAME     noise or tls: what clients speak; default what go-libp2p prefers, TLS
  --soak-minutes N    how long "soak" takes; default 5
  --list              print the cases
  --help              print this

Without a case all are run, which takes about half an hour. Exit code 1: a want was lost, bytes were wrong or a
process died; figures that miss their goal do not fail a bench.
`
