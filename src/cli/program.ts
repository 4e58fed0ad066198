import { Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import { explain } from '#src/cli/failure.ts'
import { keyImport, keyLanes, keyNew, keyShow } from '#src/cli/key.ts'
import { keySwarmNew, keySwarmShow } from '#src/cli/key-swarm.ts'
import { exitCodesHelp, variablesHelp } from '#src/cli/options.ts'
import { run } from '#src/cli/run.ts'
import { type SnippetKind, snippetKinds } from '#src/cli/snippets.ts'
import { type ExitCode, exitCodes, type Terminal } from '#src/cli/terminal.ts'
import { validate } from '#src/cli/validate.ts'
import { buildVersion, formatVersion } from '#src/cli/version.ts'
import { nearest } from '#src/util/nearest.ts'

/** Types of keys that can be made; kept apart from p2p/ so that --help loads no cryptography. */
const newKeyTypes = ['ed25519', 'rsa', 'secp256k1'] as const

async function runDemo(terminal: Terminal, once: boolean): Promise<ExitCode> {
  try {
    const { demo } = await import('#src/cli/demo.ts')
    return await demo({ once, terminal, version: buildVersion() })
  } catch (error) {
    return explain(terminal, error)
  }
}

/** Runs the command that `args` name and returns the exit code; without one, that is `run`. */
export async function runProgram(args: readonly string[], terminal: Terminal): Promise<ExitCode> {
  let code: ExitCode = exitCodes.clean
  const program = build(terminal, (result) => {
    code = result
  })
  const [first = ''] = args
  const names = program.commands.map((command) => command.name())
  if (first !== '' && !first.startsWith('-') && ![...names, 'help'].includes(first)) {
    const guess = nearest(first, names)
    const suggestion = guess === undefined ? '' : ` Is it "${guess}"?`
    terminal.err(`kitsune: there is no command "${first}".${suggestion} See kitsune --help.`)
    return exitCodes.usage
  }
  try {
    await program.parseAsync([...args], { from: 'user' })
    return code
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.clean : exitCodes.usage
    return explain(terminal, error)
  }
}

function build(terminal: Terminal, done: (code: ExitCode) => void): Command {
  const width = terminal.columns
  const program = new Command('kitsune')
    .description('A libp2p reverse proxy for IPFS: one peer identity in front of a pool of nodes.')
    .version(formatVersion(buildVersion()), '-V, --version', 'print version, commit, runtime and target')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.out(text.replace(/\n$/, '')),
      writeErr: (text) => terminal.err(text.replace(/\n$/, '')),
      getOutHelpWidth: () => width,
      getErrHelpWidth: () => width,
    })
    .showHelpAfterError('(kitsune --help lists commands and variables)')
  const full = () => `\n${variablesHelp(width)}\n\n${exitCodesHelp(width)}`
  program.addHelpText('after', full)

  program
    .command('run', { isDefault: true })
    .description('run an edge (also the default without a command)')
    .addHelpText('after', full)
    .action(async () => done(await run(terminal)))

  program
    .command('demo')
    .description('run everything on this machine, with two embedded IPFS nodes and a client')
    .option('--once', 'fetch, verify and end; exit code 0 only if every byte was right')
    .action(async (options: { once?: boolean }) => done(await runDemo(terminal, options.once ?? false)))

  program
    .command('validate')
    .description('check the environment and print the effective configuration, or all that is wrong')
    .option('--connect', 'dial every backend as well; one that does not answer is a fault')
    .addHelpText('after', full)
    .action(async (options: { connect?: boolean }) =>
      done(await validate(terminal, { connect: options.connect ?? false })),
    )

  program
    .command('addrs')
    .description(
      'print the addresses to give to clients, as the running edge tells them, and configurations to paste',
    )
    .option('--json', "what Kubo's id answers, as JSON")
    .addOption(
      new Option('--snippet <client>', 'the configuration of that client alone').choices(snippetKinds),
    )
    .action(async (options: { json?: boolean; snippet?: SnippetKind }) => {
      const { addrs } = await import('#src/cli/addrs.ts')
      done(await addrs(terminal, { ...options, json: options.json ?? false }))
    })

  program
    .command('doctor')
    .description('look at this machine, the doors and each backend, and say how to mend what is wrong')
    .option('--json', 'one JSON object with all findings')
    .action(async (options: { json?: boolean }) => {
      const { doctor } = await import('#src/cli/doctor.ts')
      done(await doctor(terminal, { json: options.json ?? false }))
    })

  addKeyCommands(program, terminal, done)
  return program
}

function parseLanes(text: string): number {
  const count = Number(text)
  if (Number.isInteger(count) && count >= 1 && count <= 16) return count
  throw new InvalidArgumentError('It is a whole number from 1 to 16.')
}

function addKeyCommands(program: Command, terminal: Terminal, done: (code: ExitCode) => void): void {
  const key = program
    .command('key')
    .description('make, show and import private keys')
    .addHelpText('after', () => `\n${exitCodesHelp(terminal.columns)}`)
  const out = '-o, --out <file>'
  const outMeaning =
    'where to keep it, mode 0600, never overwritten (default: identity.key in the data directory)'
  key
    .command('new')
    .description('make a key')
    .addOption(new Option('-t, --type <type>', 'type of key').choices(newKeyTypes).default('ed25519'))
    .option(out, outMeaning)
    .action(async (options: { type: (typeof newKeyTypes)[number]; out?: string }) =>
      done(await keyNew(terminal, options)),
    )
  key
    .command('show')
    .description('show peer ID, type and public key of the identity in use, or of a key file')
    .argument('[file]', 'a key file')
    .action(async (file: string | undefined) => done(await keyShow(terminal, file)))
  key
    .command('lanes')
    .description('show the private identities with which backends are dialled')
    .addOption(
      new Option('-n, --count <lanes>', 'how many: as many as KITSUNE_LANES')
        .default(4)
        .argParser((text) => parseLanes(text)),
    )
    .action(async ({ count }: { count: number }) => done(await keyLanes(terminal, count)))
  key
    .command('import')
    .description('keep a key that comes from elsewhere: libp2p protobuf, Kubo config file, or PEM (PKCS#8)')
    .argument('<file>', 'the file to read; - is standard input')
    .option(out, outMeaning)
    .action(async (file: string, options: { out?: string }) => done(await keyImport(terminal, file, options)))
  const swarm = key
    .command('swarm')
    .description('keys of private networks: make one, or show its fingerprint')
  swarm
    .command('new')
    .description('make a swarm.key as Kubo has it')
    .requiredOption(out, 'where to keep it, mode 0600, never overwritten')
    .action(async (options: { out: string }) => done(await keySwarmNew(terminal, options)))
  swarm
    .command('show')
    .description('show the fingerprint of a swarm.key, as a Kubo prints it at its start')
    .argument('<file>', 'a swarm.key')
    .action(async (file: string) => done(await keySwarmShow(terminal, file)))
}
