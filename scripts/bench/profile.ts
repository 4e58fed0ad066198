/** `--profile CASE`: the edge from source under Bun's sampling profiler, with the load of that case on it. */
import { mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { tuning } from '#src/cli/runtime-tuning.ts'
import { loadCases } from './cases.ts'
import { startEdge } from './edge.ts'
import type { Lab } from './lab.ts'
import { loadOf, stageOf } from './load-case.ts'
import { measure } from './measure.ts'
import { cpuTime, threadCpuSeconds } from './proc.ts'
import type { ProfileResult } from './results.ts'
import { type CpuProfile, selfTimeByRoom } from './rooms.ts'
import { securedBy, startStage } from './subjects.ts'
import { alignRows } from './table.ts'

/** It stops sampling when it ends, and writes then: a drain and half a minute for large profiles. */
const writtenWithinMs = 30_000

/** Profiles the edge under the load of a case and moves the profile here. */
export async function profile(lab: Lab, name: string): Promise<ProfileResult> {
  const spec = loadCases.find((each) => each.name === name)
  if (spec === undefined) throw new Error(`no load case ${name}`)
  const directory = await mkdtemp(join(tmpdir(), 'kitsune-profile-'))
  try {
    const stage = await startStage(lab, { ...stageOf(spec), kinds: ['direct'] })
    // Else it would start itself anew and be profiled twice.
    const env = { ...spec.env, ...tuning }
    const started = startEdge(lab, { backends: [stage.backend.rpc], env, profileInto: directory })
    const edge = securedBy(lab.options.security, await lab.keep(started))
    // The first load is there to be compiled; the profile is that of the second.
    lab.progress(`profile of ${name}: warming up`)
    const load = (round: number) =>
      measure(lab, edge, stage.subjects[0]!, {
        unit: spec.unit,
        round,
        load: { ...loadOf(lab, spec, 1), seconds: lab.seconds * 3 },
        ...(spec.over && { over: spec.over }),
      })
    await load(0)
    lab.progress(`profile of ${name}`)
    const from = edge.ageSeconds()
    const before = { cpu: cpuTime(edge.pid), threads: threadCpuSeconds(edge.pid) }
    await load(1)
    const after = { cpu: cpuTime(edge.pid), threads: threadCpuSeconds(edge.pid) }
    const to = edge.ageSeconds()
    await edge.process.stop(writtenWithinMs)
    const written = (await readdir(directory)).find((file) => file.endsWith('.cpuprofile'))
    if (written === undefined) throw new Error(`Bun left no profile; it said: ${edge.process.log()}`)
    const file = resolve(`${name}.cpuprofile`)
    const text = await readFile(join(directory, written), 'utf8')
    await rename(join(directory, written), file).catch(() => Bun.write(file, text))
    return {
      name,
      rooms: selfTimeByRoom(JSON.parse(text) as CpuProfile, { from, to }),
      userSeconds: after.cpu.user - before.cpu.user,
      systemSeconds: after.cpu.system - before.cpu.system,
      threads: [...after.threads]
        .map(([thread, seconds]) => ({
          name: thread,
          cpuSeconds: seconds - (before.threads.get(thread) ?? 0),
        }))
        .filter(({ cpuSeconds }) => cpuSeconds > 0)
        .sort((a, b) => b.cpuSeconds - a.cpuSeconds),
      file,
    }
  } finally {
    await lab.clear()
    await rm(directory, { recursive: true, force: true })
  }
}

/** Returns a profile as lines. */
export function profileLines(result: ProfileResult): string[] {
  const percent = (share: number): string => `${(share * 100).toFixed(1)} %`
  const { userSeconds, systemSeconds, threads, rooms } = result
  const all = userSeconds + systemSeconds
  return [
    `Profile of ${result.name}: self time by room (the edge from source, warm)`,
    ...alignRows(rooms.map(({ room, share }) => [`  ${room}`, percent(share)])).map(
      (line, i) =>
        `${line}   ${(rooms[i]?.top ?? []).map((each) => `${percent(each.share)} ${each.name}`).join(', ')}`,
    ),
    `  kernel: ${percent(systemSeconds / all)} of ${all.toFixed(2)} CPU-s; by thread: ${threads
      .map(({ name, cpuSeconds }) => `${name} ${percent(cpuSeconds / all)}`)
      .join(', ')}`,
    `  ${result.file}: open it in a browser's developer tools, or at speedscope`,
  ]
}
