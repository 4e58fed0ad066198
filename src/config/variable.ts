import * as v from 'valibot'
import type { Parsed } from '#src/config/parsed.ts'

/** The headings under which variables are listed, in this order. */
export const sections = [
  'Backends',
  'Identity',
  'Addresses',
  'Operation',
  'Misses',
  'Preload',
  'Delegates',
  'Limits',
] as const
export type Section = (typeof sections)[number]

/** One variable of the environment: all that --help, the README, `validate` and the loader know about it. */
export interface Variable<T> {
  readonly name: string
  readonly section: Section
  /** What it means, in one or two sentences without the name. */
  readonly description: string
  /** What may be written, to stand after "allowed:". */
  readonly allowed: string
  /** What holds when it is not set, as people would write it. */
  readonly default: string
  readonly example: string
  /** Never shown, neither the value nor parts of it. */
  readonly secret: boolean
  /** Returns the text with what is secret in it hidden. */
  readonly mask: (text: string) => string
  /** A file of it may have any bytes: its text has a character per byte, and nothing is taken off its ends. */
  readonly bytes?: boolean
  readonly schema: v.GenericSchema<string, T>
}

type Facts<T> = Omit<Variable<T>, 'secret' | 'mask'> & Partial<Pick<Variable<T>, 'secret' | 'mask'>>

/** Completes a variable; one that is secret is hidden whole unless it says how to hide a part. */
export function variable<T>(facts: Facts<T>): Variable<T> {
  const secret = facts.secret ?? false
  return { secret, mask: secret ? () => '(hidden)' : (text) => text, ...facts }
}

/** Makes a valibot schema of a parser: the reason of a refusal becomes the message of the issue. */
export function one<T>(parse: (text: string) => Parsed<T>): v.GenericSchema<string, T> {
  return v.pipe(
    v.string(),
    v.rawTransform<string, T>(({ dataset, addIssue, NEVER }) => {
      const parsed = parse(dataset.value)
      if (parsed.ok) return parsed.value
      addIssue({ message: parsed.reason })
      return NEVER
    }),
  )
}

/** A refusal of one part of a text: the part as it may be shown, and why. */
export interface Fault {
  readonly found: string
  readonly reason: string
}

/** Makes a valibot schema of a parser that finds several faults; the issue's `input` is the part at fault. */
export function many<T>(
  parse: (text: string) => { readonly value: T; readonly faults: readonly Fault[] },
): v.GenericSchema<string, T> {
  return v.pipe(
    v.string(),
    v.rawTransform<string, T>(({ dataset, addIssue, NEVER }) => {
      const { value, faults } = parse(dataset.value)
      for (const { found, reason } of faults) addIssue({ message: reason, input: found })
      return faults.length === 0 ? value : NEVER
    }),
  )
}

/** Makes the schema of a comma-separated list without duplicates; each item is refused on its own. */
export function list(parse: (text: string) => Parsed<string>): v.GenericSchema<string, string[]> {
  return many((text) => {
    const value: string[] = []
    const faults: Fault[] = []
    for (const item of text.split(',').map((part) => part.trim())) {
      const parsed: Parsed<string> =
        item === '' ? { ok: false, reason: 'is empty; a comma too many?' } : parse(item)
      if (!parsed.ok) faults.push({ found: item, reason: parsed.reason })
      else if (value.includes(parsed.value)) faults.push({ found: item, reason: 'is listed twice' })
      else value.push(parsed.value)
    }
    return { value, faults }
  })
}

/** Makes the schema of a value within limits, both included; `format` writes a limit as people would. */
export function within(
  parse: (text: string) => Parsed<number>,
  limits: { readonly min?: number; readonly max?: number },
  format: (value: number) => string,
): v.GenericSchema<string, number> {
  const { min, max } = limits
  return one((text) => {
    const parsed = parse(text)
    if (!parsed.ok) return parsed
    if (min !== undefined && parsed.value < min) return { ok: false, reason: `is below ${format(min)}` }
    if (max !== undefined && parsed.value > max) return { ok: false, reason: `is above ${format(max)}` }
    return parsed
  })
}
