/**
 * Echo to the outside. Node has no ICMP sockets, so the host's own `ping` asks in the guest's place; only if it was
 * answered is the guest.
 */

import { spawn } from 'node:child_process';

/** 'none': no answer. 'unreachable': `ping` says that it cannot be asked. 'unable': this host has no `ping`. */
export type EchoOutcome = 'answered' | 'none' | 'unreachable' | 'unable';
export type Echo = (address: string) => Promise<EchoOutcome>;

const PROGRAM = 'ping';
/** Milliseconds an answer is waited for. */
const PATIENCE = 4000;
/** Programs at once; more requests are lost, as on any network. */
const MOST = 8;

/** What `ping` exits with besides 0: iputils and the BSDs agree on "other errors" being 2 or more. */
const NO_ANSWER = 1;

export function systemPing(): Echo {
  let running = 0;
  return async (address) => {
    if (running >= MOST) return 'none';
    running++;
    try {
      return await runPing(address);
    } finally {
      running--;
    }
  };
}

const runPing = (address: string): Promise<EchoOutcome> =>
  new Promise((resolve) => {
    const child = spawn(PROGRAM, ['-n', '-q', '-c', '1', address], {
      stdio: 'ignore',
      timeout: PATIENCE,
      killSignal: 'SIGKILL',
    });
    child.once('error', () => resolve('unable'));
    child.once('exit', (code) => {
      if (code === 0) resolve('answered');
      else resolve(code === null || code === NO_ANSWER ? 'none' : 'unreachable');
    });
  });
