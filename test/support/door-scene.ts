/**
 * A backend and the executable before it with one more door, for the end-to-end tests of that door by go-libp2p.
 */
import { afterAll, beforeAll } from 'bun:test'
import { ensureBinary } from '#test/support/binary.ts'
import { type EdgeProcess, startEdgeProcess } from '#test/support/edge.ts'
import { type GoServe, type GoServeOptions, goBinary, startGoServe } from '#test/support/go-peer.ts'
import { memory } from '../../scripts/bench/proc.ts'

export interface DoorScene {
  readonly backend: GoServe
  readonly edge: EdgeProcess
  /** The multiaddr of the door, with /p2p/…. */
  readonly peer: string
  /** What the edge holds in memory. */
  residentBytes(): number
  stop(): Promise<void>
}

/** The scene of a `describe`: started before its tests, stopped after them. Not to be looked at before they run. */
export function doorScene(listen: string, mark: string, content: GoServeOptions): DoorScene {
  let scene: DoorScene | undefined
  const started = (): DoorScene => {
    if (scene === undefined) throw new Error('the scene has not been started')
    return scene
  }
  beforeAll(async () => {
    scene = await startDoorScene(listen, mark, content)
  }, 300_000)
  afterAll(() => scene?.stop())
  return {
    get backend() {
      return started().backend
    },
    get edge() {
      return started().edge
    },
    get peer() {
      return started().peer
    },
    residentBytes: () => started().residentBytes(),
    stop: () => started().stop(),
  }
}

/** Starts both; `listen` is the address of the door, `mark` what its real one has in it. */
async function startDoorScene(listen: string, mark: string, content: GoServeOptions): Promise<DoorScene> {
  await Promise.all([goBinary(), ensureBinary()])
  const backend = await startGoServe(content)
  const edge = await startEdgeProcess({
    from: 'binary',
    backends: [backend.rpc],
    env: { KITSUNE_LISTEN: `/ip4/127.0.0.1/tcp/0,${listen}`, KITSUNE_CLIENT_BUFFER: '4MiB' },
  })
  await edge.untilReady()
  const { listening } = edge.process.ready as unknown as { listening: string[] }
  return {
    backend,
    edge,
    peer: listening.find((address) => address.includes(mark)) ?? '',
    residentBytes: () => memory(edge.process.pid),
    async stop() {
      await edge.stop()
      await backend.stop()
    },
  }
}
