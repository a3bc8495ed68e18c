/** One invocation of xl: the words of a command line in, an exit status out. */

import { type Command, CommanderError } from 'commander';
import { Refusal, UserError } from './client.js';
import { say, setLogStyle } from './log.js';
import { program } from './program.js';

// biome-ignore format: one row per exit status
/** Exit statuses, as xl has them; the README says when. `xl run` has further ones. */
const STATUS = {
  done:   0,
  failed: 1, // the service or xl refuses, or there is no such verb
  usage:  2, // an argument of the verb is missing or too much, an option unknown
} as const;

/** Carries out a command line, and leaves its exit status in process.exitCode. */
export async function invoke(line: readonly string[]): Promise<void> {
  const { flags, words, at } = readGlobals(line);
  setLogStyle({ verbose: flags.has('v'), stamped: flags.has('T') });
  const xl = program();
  const verb = xl.commands.find((command) => command.name() === words[at]);
  if (at === words.length) {
    xl.outputHelp();
    process.exitCode = STATUS.failed;
    return;
  }
  try {
    if (flags.has('N')) askForDryRun(verb, words, at);
    await xl.parseAsync(words, { from: 'user' });
  } catch (error) {
    process.exitCode = report(error, verb, line.includes('--json'));
  }
}

/** Options of xl itself stand in front of the verb: letters of xl's, and the URL of the service, which are left for commander. */
function readGlobals(line: readonly string[]) {
  const flags = new Set<string>();
  const words: string[] = [];
  let n = 0;
  for (; n < line.length; n++) {
    const word = line[n] ?? '';
    if (/^-[vfNtT]+$/.test(word)) for (const letter of word.slice(1)) flags.add(letter);
    else if (word.startsWith('--host=')) words.push(word);
    else if (word === '--host' && n + 1 < line.length) words.push(word, line[++n] ?? '');
    else break;
  }
  return { flags, words: [...words, ...line.slice(n)], at: words.length };
}

function askForDryRun(verb: Command | undefined, words: string[], at: number): void {
  if (verb === undefined) return;
  if (verb.options.some(({ long }) => long === '--dryrun')) words.splice(at + 1, 0, '--dryrun');
  else throw new UserError(`${verb.name()} has no dry run (-N)`);
}

/** @returns the exit status. @throws what is a mistake of ours. */
function report(error: unknown, verb: Command | undefined, json: boolean): number {
  if (error instanceof UserError) {
    const problem = error instanceof Refusal ? error.problem : undefined;
    complain({ title: 'xl has failed', detail: error.message, ...problem }, STATUS.failed, json);
    return STATUS.failed;
  }
  if (!(error instanceof CommanderError)) throw error;
  if (error.exitCode === 0) return STATUS.done; // help was asked for, and has been given
  const status = verb === undefined ? STATUS.failed : STATUS.usage;
  const what = error.message.replace(/^error: /, '').replaceAll('\n', ' ');
  const detail = verb === undefined ? what : `${verb.name()}: ${what}`;
  complain({ title: 'Usage', detail }, status, json);
  if (verb !== undefined && !json) verb.outputHelp();
  return status;
}

/** On standard error: one line, or the problem as JSON with what xl knows of it. */
function complain(
  problem: { readonly title: string; readonly detail: string },
  exitStatus: number,
  json: boolean,
): void {
  const whole = { type: 'about:blank', ...problem, exitStatus };
  if (json) process.stderr.write(`${JSON.stringify(whole)}\n`);
  else say(problem.detail);
}
