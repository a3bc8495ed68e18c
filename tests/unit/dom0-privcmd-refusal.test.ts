/** A call that the hypervisor refuses comes with what its log has said of the domain, and ends as a refusal of the toolstack. */

import { expect, test } from 'vitest';
import { Privcmd, PrivcmdRefusal } from '../../dom0/privcmd.js';
import type { PrivcmdCall, PrivcmdMessage } from '../../hypervisor/public/privcmd.js';
import { CommandError } from '../../toolstack/domains/errors.js';
import { asCommandError } from '../../toolstack/domains/refusals.js';

/** A hypervisor that says a few lines and refuses whatever it is asked. */
function refusing(lines: readonly string[]): Privcmd {
  let tell: (message: PrivcmdMessage) => void = () => undefined;
  const channel = {
    listen: (listener: (message: PrivcmdMessage) => void) => {
      tell = listener;
    },
    send: ({ id }: PrivcmdCall) => {
      for (const text of lines) tell({ event: 'log', text });
      tell({ id, error: { errno: 'EINVAL', number: -22, message: 'no' } } as PrivcmdMessage);
    },
  };
  const bytes = new Uint8Array(new SharedArrayBuffer(4096));
  return new Privcmd(channel, { ram: bytes, bounce: bytes });
}

const refusalOf = (privcmd: Privcmd): Promise<PrivcmdRefusal> =>
  privcmd.call('getdomaininfo', { domid: 5 }).then(
    () => {
      throw new Error('it was not refused');
    },
    (error: PrivcmdRefusal) => error,
  );

test('lines about the domain, and about no other', async () => {
  const lines = ['d5 created', '(d5) hello', 'd55 created', 'd5v1: up', 'd4 sends to d5', 'and5'];
  const refusal = await refusalOf(refusing(lines));
  expect(refusal).toBeInstanceOf(PrivcmdRefusal);
  expect(refusal.log).toEqual(['d5 created', '(d5) hello', 'd5v1: up', 'd4 sends to d5']);
  const error = asCommandError(refusal) as CommandError;
  expect(error).toBeInstanceOf(CommandError);
  expect(error.facts).toMatchObject({ errno: 'EINVAL', log: [...refusal.log] });
});

test('the last few of many lines, and none of a domain that nothing was said of', async () => {
  const many = Array.from({ length: 500 }, (_, n) => `d5 line ${n}`);
  const { log } = await refusalOf(refusing(many));
  expect(log).toEqual(many.slice(-10));
  const error = asCommandError(await refusalOf(refusing(['d6 created']))) as CommandError;
  expect(error.facts).not.toHaveProperty('log');
});
