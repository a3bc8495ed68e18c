/**
 * xl completion: a script by which a shell completes verbs, flags, names of domains and files. It is made of the verbs that there are;
 * domains are asked for when they are wanted, of the service that the line or XENOLITH_URL names.
 */

import type { Argument, Command } from 'commander';
import { UserError } from './client.js';
import { print } from './command.js';

/** What an argument of a verb is called, and what completes it. */
const KINDS: readonly (readonly [pattern: RegExp, kind: Kind])[] = [
  [/^domain/, 'domain'],
  [/file/, 'file'],
  [/^verb$/, 'verb'],
];
type Kind = 'domain' | 'file' | 'verb' | 'word';

export function addCompletion(xl: Command): void {
  xl.command('completion')
    .description('print a script for a shell: source <(xl completion bash)')
    .argument('<shell>', 'bash or zsh')
    .action((shell: string) => {
      if (shell === 'bash') print(bashScript(xl));
      else if (shell === 'zsh')
        print(`autoload -U +X bashcompinit && bashcompinit\n${bashScript(xl)}`);
      else throw new UserError(`there is no completion for "${shell}", only for bash and zsh`);
    });
}

interface Row {
  readonly verb: string;
  readonly flags: string;
  /** Of each argument; the last one of those that come after, too. */
  readonly kinds: string;
}

function rowOf(verb: Command): Row {
  const flags = verb.options.flatMap(({ short, long }) => [short, long]);
  const words = verb.commands.map((each) => each.name());
  return {
    verb: verb.name(),
    flags: [...flags, '-h', '--help'].filter(Boolean).join(' '),
    kinds:
      words.length > 0 ? `=${words.join(' ')}` : verb.registeredArguments.map(kindOf).join(' '),
  };
}

const kindOf = (argument: Argument): Kind =>
  KINDS.find(([pattern]) => pattern.test(argument.name()))?.[1] ?? 'word';

/** Options that are followed by a file. */
const fileFlags = (xl: Command): string =>
  xl.commands
    .flatMap((verb) => verb.options)
    .filter(({ flags }) => flags.includes('<file>'))
    .flatMap(({ short, long }) => [short, long])
    .filter((flag, n, all) => flag !== undefined && all.indexOf(flag) === n)
    .join(' ');

function bashScript(xl: Command): string {
  const rows = xl.commands.filter((verb) => !verb.description().startsWith('not here:')).map(rowOf);
  const cases = rows.map(
    ({ verb, flags, kinds }) => `    ${verb}) flags='${flags}'; kinds='${kinds}' ;;`,
  );
  return `# Completion of xl. Words: $1 the program, COMP_WORDS the line, COMP_CWORD the word at the cursor.
_xl_domains() {
  "$1" "\${@:2}" vm-list 2>/dev/null | while read -r uuid domid name; do
    [ "$uuid" = UUID ] || printf '%s\\n' "$name"
  done
}
_xl() {
  local verbs='${rows.map(({ verb }) => verb).join(' ')}'
  local word="\${COMP_WORDS[COMP_CWORD]}" n=1 verb='' flags='' kinds='' place=0
  local -a host=()
  COMPREPLY=()
  while [ "$n" -lt "$COMP_CWORD" ]; do
    case "\${COMP_WORDS[n]}" in
      --host) host=(--host "\${COMP_WORDS[n + 1]}"); n=$((n + 1)) ;;
      -*) ;;
      *) if [ -z "$verb" ]; then verb="\${COMP_WORDS[n]}"; else place=$((place + 1)); fi ;;
    esac
    n=$((n + 1))
  done
  case " ${fileFlags(xl)} " in
    *" \${COMP_WORDS[COMP_CWORD - 1]} "*) COMPREPLY=($(compgen -f -- "$word")); return ;;
  esac
  if [ -z "$verb" ]; then
    case "$word" in
      -*) COMPREPLY=($(compgen -W '--host --help -v -f -N -t -T' -- "$word")) ;;
      *) COMPREPLY=($(compgen -W "$verbs" -- "$word")) ;;
    esac
    return
  fi
  case "$verb" in
${cases.join('\n')}
    *) return ;;
  esac
  case "$word" in
    -*) COMPREPLY=($(compgen -W "$flags" -- "$word")); return ;;
  esac
  case "$kinds" in
    =*) [ "$place" -gt 0 ] || COMPREPLY=($(compgen -W "\${kinds:1}" -- "$word")); return ;;
  esac
  set -- "$1" $kinds
  [ "$#" -gt 1 ] || return
  [ "$place" -lt "$(($# - 1))" ] || place=$(($# - 2))
  n=$((place + 2))
  case "\${!n}" in
    domain) COMPREPLY=($(compgen -W "$(_xl_domains "$1" "\${host[@]}")" -- "$word")) ;;
    file) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$word")) ;;
    verb) COMPREPLY=($(compgen -W "$verbs" -- "$word")) ;;
  esac
}
complete -F _xl xl`;
}
