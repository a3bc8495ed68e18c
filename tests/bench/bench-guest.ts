/** Runs a bench guest to its end and reads the lines `BENCH name value unit` off its console. */

import { eventually, type TestService } from '../support/service.js';

/** Figures by `name unit`. */
export type Figures = ReadonlyMap<string, bigint>;

const LINE = /^BENCH (\S+) (\d+) (\S+)\r?$/gm;

export function parseFigures(text: string): Figures {
  return new Map(
    [...text.matchAll(LINE)].map(([, name, value, unit]) => [
      `${name} ${unit}`,
      BigInt(value ?? 0),
    ]),
  );
}

/** @throws if the guest does not power off within the time: its console is in the message. */
export async function runBenchGuest(
  service: TestService,
  kernel: string,
  cmdline = '',
): Promise<Figures> {
  const name = `${kernel}-${Math.random().toString(36).slice(2, 8)}`;
  const created = await service.request('POST', '/v1/domains', {
    name,
    kernel,
    cmdline,
    memory: 16,
  });
  if (created.status !== 201) throw new Error(`${kernel}: ${created.status} ${created.text}`);
  const { uuid } = created.json;
  const read = () => service.request('GET', `/v1/domains/${uuid}`);
  const ended = (answer: { json: { state: string } }): boolean =>
    ['ended', 'shutdown'].includes(answer.json.state);
  const last = await eventually(read, ended, 120_000);
  const console = await service.request('GET', `/v1/domains/${uuid}/console`);
  if (last.json.shutdownReason !== 'poweroff') {
    throw new Error(
      `${kernel} ended by ${last.json.shutdownReason}: ${last.json.detail}\n${console.text}`,
    );
  }
  return parseFigures(console.text);
}

export function figure(figures: Figures, name: string, unit: string): bigint {
  const value = figures.get(`${name} ${unit}`);
  if (value === undefined) throw new Error(`the guest said nothing of ${name} in ${unit}`);
  return value;
}
