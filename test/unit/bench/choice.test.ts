import { expect, test } from 'bun:test'
import { caseList, cases, selectCases } from '../../../scripts/bench/cases.ts'
import { parseOptions } from '../../../scripts/bench/options.ts'
import { addressesIn } from '../../../scripts/bench/other.ts'
import { page } from '../../../scripts/bench/report.ts'

const names = (...wanted: string[]): readonly string[] => {
  const selected = selectCases(wanted)
  if ('fault' in selected) throw new Error(selected.fault)
  return selected.map(({ name }) => name)
}

test('cases are chosen by name, by group and by pattern, each once', () => {
  expect(names('1k', '256k', '1k')).toEqual(['256k', '1k'])
  expect(names('idle-*')).toEqual(['idle-tcp', 'idle-ws'])
  expect(names('sizes')).toEqual(['256k', '1k', '16k', '1m'])
  expect(names()).toEqual(cases.map(({ name }) => name))
  expect(names('all')).toEqual(names())
})

test('a name is a whole name', () => {
  expect(names('256k')).toEqual(['256k'])
})

test('a word that is none is told, with what it may have meant', () => {
  expect(selectCases(['broadcats'])).toEqual({
    fault: 'There is no case or group "broadcats". Is it "broadcast"? See --list.',
  })
})

test('names of cases are distinct, and none is that of a group', () => {
  const groups = new Set(cases.flatMap((each) => each.groups))
  const all = cases.map(({ name }) => name)
  expect(new Set(all).size).toBe(all.length)
  expect(all.filter((name) => groups.has(name))).toEqual([])
  for (const name of all) expect(caseList()).toContain(`  ${name} `)
})

test('options', () => {
  const args = ['256k', '--quick', '--json', 'a.json', '--profile', '1k', '--profile', '256k']
  expect(parseOptions(args)).toMatchObject({
    wanted: ['256k'],
    quick: true,
    json: 'a.json',
    report: undefined,
    profiles: ['1k', '256k'],
  })
  expect(parseOptions([])).toMatchObject({ security: undefined, soakMinutes: 5 })
  const soak = ['soak', '--security', 'noise', '--soak-minutes', '30']
  expect(parseOptions(soak)).toMatchObject({ security: 'noise', soakMinutes: 30 })
  expect(parseOptions(['--security', 'plaintext'])).toMatchObject({
    fault: expect.stringContaining('plaintext'),
  })
  for (const minutes of ['0', '-1', 'x', '1441'])
    expect(parseOptions([`--soak-minutes=${minutes}`])).toMatchObject({
      fault: expect.stringContaining(minutes),
    })
  expect(parseOptions(['--fast'])).toMatchObject({ fault: expect.stringContaining('--fast') })
})

test('addresses of another proxy are found in text and in JSON', () => {
  const address = '/ip4/127.0.0.1/tcp/4001/p2p/12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5'
  expect(addressesIn({ text: `listening at ${address}, and more` })).toEqual([address])
  expect(addressesIn({ level: 30, listening: [address, '/ip4/127.0.0.1/tcp/4002'] })).toEqual([address])
})

test('nothing that is put into the report can end its element', () => {
  const html = page({ style: '', script: 'a("</script>")', content: { title: '</script><b>' } })
  expect(html.match(/<\/script>/g)).toHaveLength(2)
  expect(html).not.toContain('<b>')
})
