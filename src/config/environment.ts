import { join } from 'node:path'
import { schema, type VariableKey } from '#src/config/schema.ts'
import { describeError } from '#src/util/errors.ts'
import { nearest } from '#src/util/nearest.ts'

/*
 * Where the text of each variable comes from: the environment, the file that `<name>_FILE` names, or a file called
 * like the variable in $CREDENTIALS_DIRECTORY (systemd's LoadCredential). More than one of them is a fault, since
 * each reader would expect another one to win.
 */

/** The environment of a process. */
export type Environment = Readonly<Record<string, string | undefined>>

/** What the configuration needs from the machine. */
export interface Machine {
  /** Returns a file as text, or throws; `latin1` has a character per byte. */
  readonly readFile: (path: string, encoding?: 'latin1') => string
  readonly exists: (path: string) => boolean
  /** IPv6 can be listened on. */
  readonly ipv6: boolean
  /** Standard output is a terminal. */
  readonly isTerminal: boolean
  /** Relative paths begin here. */
  readonly cwd: string
}

/** One fault of the environment, with all that is needed to mend it. Secrets in `found` are hidden. */
export interface Problem {
  readonly variable: string
  readonly found: string
  readonly message: string
  readonly allowed: string
  readonly example: string
}

/** The text of one variable, trimmed and never empty, and where it was found in words. */
export interface Given {
  readonly text: string
  readonly origin: string
}

/** Everything the environment sets, and what is wrong with how it does. */
export interface Collected {
  readonly given: ReadonlyMap<VariableKey, Given>
  readonly problems: readonly Problem[]
  /** Variables that are set, but whose text could not be had. */
  readonly failed: ReadonlySet<VariableKey>
}

export const variableKeys = Object.keys(schema) as VariableKey[]

/** Names of tests' own variables, which no edge reads. */
const testPrefix = 'KITSUNE_TEST_'

/** Returns a problem with a variable, its rule and example taken from the schema. */
export function problem(key: VariableKey, found: string, message: string, name?: string): Problem {
  const { name: plainName, allowed, example } = schema[key]
  return { variable: name ?? plainName, found, message, allowed, example: `${plainName}=${example}` }
}

/** Returns the name of the variable that holds a path to the value, if there is one. */
export function fileVariable(key: VariableKey): string | undefined {
  const { name } = schema[key]
  // A file that names a file would be one step too many, and KITSUNE_KEY_FILE is a variable already.
  return key === 'key' || name.endsWith('_FILE') ? undefined : `${name}_FILE`
}

/** Gathers the text of every variable. An empty text counts as not set. */
export function collect(env: Environment, machine: Machine): Collected {
  const given = new Map<VariableKey, Given>()
  const problems: Problem[] = unknownNames(env)
  const failed = new Set<VariableKey>()
  for (const key of variableKeys) {
    const sources = [
      fromEnvironment(key, env),
      fromFile(key, env, machine),
      fromCredential(key, env, machine),
    ]
    const present = sources.filter((source) => source !== undefined)
    const [first] = present
    if (first === undefined) continue
    if (present.length > 1 || first.fault !== undefined) failed.add(key)
    if (present.length > 1) {
      const names = present.map(({ name }) => name)
      const message = `is set more than once: ${names.join(' and ')}; keep one of them`
      problems.push(problem(key, names.join(' and '), message))
    } else if (first.fault !== undefined) {
      problems.push(problem(key, first.found, first.fault, first.name))
    } else {
      given.set(key, { text: first.found, origin: first.origin })
    }
  }
  return { given, problems, failed }
}

interface Source {
  /** How people would point at it. */
  readonly name: string
  readonly found: string
  readonly origin: string
  readonly fault?: string
}

function fromEnvironment(key: VariableKey, env: Environment): Source | undefined {
  const { name } = schema[key]
  const text = env[name]?.trim() ?? ''
  return text === '' ? undefined : { name, found: text, origin: 'environment' }
}

function fromFile(key: VariableKey, env: Environment, machine: Machine): Source | undefined {
  const name = fileVariable(key)
  const path = name === undefined ? '' : (env[name]?.trim() ?? '')
  if (name === undefined || path === '') return undefined
  return fileContents(key, name, path, `file ${path}`, machine)
}

function fromCredential(key: VariableKey, env: Environment, machine: Machine): Source | undefined {
  const directory = env.CREDENTIALS_DIRECTORY ?? ''
  if (directory === '' || key === 'key') return undefined
  // A key may be binary, so its credential is taken as the key file itself, under either name.
  const names = key === 'keyFile' ? [schema.keyFile.name, schema.key.name] : [schema[key].name]
  const name = names.find((candidate) => machine.exists(join(directory, candidate)))
  if (name === undefined) return undefined
  const path = join(directory, name)
  const label = `the credential ${name}`
  // So is that of any other variable that names a file.
  if (schema[key].name.endsWith('_FILE')) return { name: label, found: path, origin: 'credential' }
  return fileContents(key, label, path, 'credential', machine)
}

function fileContents(
  key: VariableKey,
  name: string,
  path: string,
  origin: string,
  machine: Machine,
): Source {
  try {
    const text = schema[key].bytes ? machine.readFile(path, 'latin1') : machine.readFile(path).trim()
    if (text !== '') return { name, found: text, origin }
    return { name, found: path, origin, fault: 'names a file that is empty' }
  } catch (error) {
    return { name, found: path, origin, fault: `names a file that cannot be read (${describeError(error)})` }
  }
}

function unknownNames(env: Environment): Problem[] {
  const known = new Set<string>()
  for (const key of variableKeys) {
    known.add(schema[key].name)
    const file = fileVariable(key)
    if (file !== undefined) known.add(file)
  }
  return Object.keys(env)
    .filter((name) => /^KITSUNE_/i.test(name) && !name.startsWith(testPrefix) && !known.has(name))
    .sort()
    .map((name) => {
      const guess = nearest(name.toUpperCase(), known)
      return {
        variable: name,
        // Its value is not shown: under a misspelt name it may well be a secret.
        found: '(not shown)',
        message: guess === undefined ? 'is no variable of this version' : `is no variable; is it ${guess}?`,
        allowed: 'the variables of kitsune --help',
        example: guess === undefined ? 'unset it' : `${guess}=…`,
      }
    })
}
