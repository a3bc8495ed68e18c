/**
 * `npx tsx tests/bench/linux.ts`: Debian's kernel from POST to its shell, the first time and again, beside the same kernel and
 * RAM disk under plain QEMU's TCG, one after the other on the same machine. It needs linux-image-amd64 and busybox-static,
 * and qemu-system-x86 to compare with.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BUSYBOX, KERNEL } from '../support/debian.js';
import { initramfs } from '../support/initramfs.js';
import { LinuxDomain, uploadLinux } from '../support/linux-over-rest.js';
import { startTestService, type TestService } from '../support/service.js';
import { report } from './report.js';

const QEMU = '/usr/bin/qemu-system-x86_64';
const INIT = 'XENOLITH-INIT';
const PROMPT = '/ # ';
const LONGEST_MS = 300_000;
const MS = 1000;

interface Boot {
  readonly firstByte: number;
  readonly init: number;
  readonly prompt: number;
}

/** Seconds from the start until each text is there. */
async function watch(start: number, output: () => string): Promise<Boot> {
  const seen = { firstByte: 0, init: 0, prompt: 0 };
  const since = (): number => (performance.now() - start) / MS;
  while (seen.prompt === 0) {
    const text = output();
    seen.firstByte ||= text.length > 0 ? since() : 0;
    seen.init ||= text.includes(INIT) ? since() : 0;
    seen.prompt ||= text.includes(PROMPT) ? since() : 0;
    if (since() * MS > LONGEST_MS) throw new Error(`no prompt: ${text.slice(-2000)}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return seen;
}

async function bootOverRest(service: TestService, name: string): Promise<Boot> {
  const start = performance.now();
  const before = await retired(service);
  const guest = await LinuxDomain.create(service, { name });
  const boot = await watch(start, () => guest.socket.output());
  const instructions = (await retired(service)) - before;
  rows(`Debian's kernel over REST: ${name}`, boot);
  const mips = instructions / boot.prompt / 1e6;
  report('  of which', [
    { name: 'instructions to the prompt', value: instructions / 1e9, unit: 'billions' },
    { name: 'on the way', value: mips, unit: 'MIPS', remark: 'idling and loading included' },
  ]);
  await guest.destroy();
  return boot;
}

async function retired(service: TestService): Promise<number> {
  return (await service.services.host.read()).instructions;
}

function bootQemu(folder: string): Promise<Boot> {
  const ramdisk = join(folder, 'initramfs');
  writeFileSync(ramdisk, initramfs(readFileSync(BUSYBOX)));
  const start = performance.now();
  const args = ['-accel', 'tcg', '-m', '256', '-nographic', '-no-reboot', '-nodefaults'];
  const kernel = ['-kernel', KERNEL, '-initrd', ramdisk];
  const console = ['-serial', 'stdio', '-append', 'console=ttyS0'];
  const qemu: ChildProcess = spawn(QEMU, [...args, ...kernel, ...console]);
  let output = '';
  qemu.stdout?.on('data', (bytes: Buffer) => {
    output += bytes.toString('latin1');
  });
  return watch(start, () => output).finally(() => qemu.kill('SIGKILL'));
}

function rows(title: string, { firstByte, init, prompt }: Boot, unit = 's'): void {
  report(title, [
    { name: 'first console byte', value: firstByte, unit },
    { name: 'init', value: init, unit },
    { name: 'prompt', value: prompt, unit },
  ]);
}

const folder = mkdtempSync(join(tmpdir(), 'xenolith-bench-'));
const service = await startTestService({ memory: 512 });
try {
  await uploadLinux(service);
  const first = await bootOverRest(service, 'first');
  await bootOverRest(service, 'second');
  if (existsSync(QEMU)) {
    const peer = await bootQemu(folder);
    rows('The same kernel and RAM disk under qemu-system-x86_64, TCG', peer);
    report('Ours to QEMU', [
      { name: 'init', value: first.init / peer.init, unit: 'times as long' },
    ]);
  }
} finally {
  await service.close();
  rmSync(folder, { recursive: true, force: true });
}
