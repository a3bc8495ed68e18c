/** xl's configuration files: what is read, what is refused by name. */

import { describe, expect, test } from 'vitest';
import { UserError } from '../../toolstack/cli/client.js';
import { applyArguments, complete, parseConfig } from '../../toolstack/cli/config.js';

const FILE = `
# a small guest
name = "web"
type = 'pv'
kernel = "mini-os.gz"      # compressed
memory = 64
vcpus=2
maxvcpus = 4
root = "/dev/xvda1"
extra = "console=hvc0 \\"quoted\\""
on_crash = 'preserve'
cpu_weight = 0x200
`;

describe('a configuration file', () => {
  test('becomes the request that creates the domain', () => {
    expect(complete(parseConfig(FILE, 'web.cfg'))).toEqual({
      name: 'web',
      kernel: 'mini-os.gz',
      memory: 64,
      vcpus: 2,
      maxVcpus: 4,
      cmdline: 'root=/dev/xvda1 console=hvc0 "quoted"',
      onCrash: 'preserve',
      weight: 512,
    });
  });

  test('is overruled by key=value arguments, in which a bare word is a string', () => {
    const draft = applyArguments(parseConfig(FILE, 'web.cfg'), ['name=other', 'memory=8']);
    expect(draft).toMatchObject({ name: 'other', memory: 8, kernel: 'mini-os.gz' });
  });

  // biome-ignore format: one row per refusal
  test.each([
    ['pci = "00:1f.0"',      'x.cfg:1: "pci" is not possible here'],
    ['type = "hvm"',         'type: only "pv" is possible'],
    ['name = unquoted',      'x.cfg:1: expected key = "string" or number'],
    ['memory = "lots"',      'memory must be a number, not "lots"'],
    ['name = "a',            'x.cfg:1: expected key = "string" or number'],
    ['import os',            'x.cfg:1: expected key = "string" or number'],
    ['toString = "x"',       'x.cfg:1: "toString" is not possible here'],
  ])('with the line %s is refused', (line, message) => {
    expect(() => parseConfig(line, 'x.cfg')).toThrow(new UserError(message));
  });

  test.each([
    [{ kernel: 'k' }, 'name'],
    [{ name: 'n' }, 'kernel'],
  ])('%j lacks its %s', (draft, key) => {
    expect(() => complete(draft)).toThrow(`the domain needs a ${key}`);
  });
});
