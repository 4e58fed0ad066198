import { collide, hostPortOf } from '#src/config/addresses.ts'
import { type Problem, problem } from '#src/config/environment.ts'
import { doorsOf } from '#src/config/listen.ts'
import { schema, type Values } from '#src/config/schema.ts'

/** Returns what is wrong between the doors, the certificates, and the port of plain HTTP. */
export function tlsFaults(values: Values): Problem[] {
  // Where the addresses themselves are at fault, nobody knows whether one of them was to be wss.
  if (values.listen === undefined) return []
  const doors = doorsOf(values.listen, values.listenOptional ?? [])
  const wss = doors.find(({ kind }) => kind === 'wss')?.address
  return [
    ...certificates(values, wss),
    ...plainHttp(
      values,
      doors.map(({ address }) => address),
      wss,
    ),
  ]
}

function certificates({ tlsCertFile, tlsKeyFile }: Values, wss: string | undefined): Problem[] {
  const { listen, tlsCertFile: certVariable, tlsKeyFile: keyVariable } = schema
  if (tlsCertFile === undefined && tlsKeyFile === undefined) {
    if (wss === undefined) return []
    return [problem('tlsCertFile', 'nothing', `is not set, and ${wss} of ${listen.name} needs a certificate`)]
  }
  const problems: Problem[] = []
  if (tlsCertFile === undefined) {
    const message = `is not set, and ${keyVariable.name} has keys`
    problems.push(problem('tlsCertFile', 'nothing', message))
  } else if (tlsKeyFile === undefined) {
    const message = `is not set, and ${certVariable.name} has certificates`
    problems.push(problem('tlsKeyFile', 'nothing', message))
  } else if (tlsCertFile.length !== tlsKeyFile.length) {
    const message = `has ${count(tlsKeyFile, 'key')}, and ${certVariable.name} ${count(tlsCertFile, 'certificate')}`
    problems.push(problem('tlsKeyFile', tlsKeyFile.join(','), message))
  }
  if (wss === undefined) {
    const message = `has no use: ${listen.name} has no address with /tls/ws`
    const key = tlsCertFile === undefined ? 'tlsKeyFile' : 'tlsCertFile'
    problems.push(problem(key, (tlsCertFile ?? tlsKeyFile ?? []).join(','), message))
  }
  return problems
}

function count(things: readonly string[], word: string): string {
  return `${things.length} ${word}${things.length === 1 ? '' : 's'}`
}

function plainHttp(values: Values, doors: readonly string[], wss: string | undefined): Problem[] {
  const { httpListen, acmeWebroot, adminListen } = values
  const { listen, httpListen: httpVariable } = schema
  if (httpListen === undefined) {
    if (acmeWebroot === undefined) return []
    const message = `has no use without ${httpVariable.name}: authorities ask by plain HTTP`
    return [problem('acmeWebroot', acmeWebroot, message)]
  }
  const problems = httpListen.flatMap((address, index) => {
    const wanted = hostPortOf(address)
    const rivals = [...doors, ...httpListen.slice(0, index)]
    const rival = rivals.find((other) => collide(hostPortOf(other), wanted))
    const admin = adminListen !== undefined && 'port' in adminListen && collide(adminListen, wanted)
    const name = rival ?? (admin ? schema.adminListen.name : undefined)
    return name === undefined ? [] : [problem('httpListen', address, `wants the same port as ${name}`)]
  })
  if (wss !== undefined) return problems
  const message = `redirects to https, and ${listen.name} has no address with /tls/ws`
  return [...problems, problem('httpListen', httpListen.join(','), message)]
}
