/** Network interfaces of domains. */

import { z } from 'zod';
import { DeviceFigures } from './device.js';

export const VifConfig = z
  .strictObject({
    mac: z
      .string()
      .regex(/^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}$/, 'six hexadecimal bytes: 00:16:3e:01:02:03')
      .refine((mac) => (Number.parseInt(mac.slice(0, 2), 16) & 1) === 0, 'a multicast address')
      .refine((mac) => /[1-9A-Fa-f]/.test(mac), 'nobody has the address 0')
      .optional()
      .describe('Its address; a random one of 00:16:3e if left out.'),
    bridge: z
      .string()
      .min(1)
      .max(64)
      .regex(/^[A-Za-z0-9][A-Za-z0-9_.-]*$/, 'letters, digits and _ . - only')
      .default('xenbr0')
      .describe('Name of the switch: xenbr0 leads outside, any other only to its own ports.'),
    rate: z
      .string()
      .regex(
        /^[1-9]\d{0,8}[KMG]?[bB]\/s(@[1-9]\d{0,8}[mun]?s?)?$/,
        'as xl has it: 10Mb/s, 1MB/s@20ms',
      )
      .optional()
      .describe('Limits what the guest sends: bits (b) or bytes (B) a second, in intervals.'),
    ip: z.ipv4().optional().describe('Address that DHCP is to give it.'),
    mtu: z.int().min(68).max(65535).optional().describe('Longest packet; 1500 if left out.'),
    antiSpoof: z.boolean().default(false).describe('Drop what it sends from another address.'),
  })
  .meta({ id: 'VifConfig', description: 'A network interface that a domain is to have.' });
export type VifConfig = z.output<typeof VifConfig>;

export const DomainVif = z
  .strictObject({
    devid: z.int().describe('Number of the interface: eth0, eth1, …'),
    mac: z.string(),
    bridge: z.string(),
    rate: z.string().optional(),
    ip: z.string().optional().describe('The address that DHCP has given it, or is to give it.'),
    capture: z.string().describe('Path of its traffic as a pcapng stream.'),
    ...DeviceFigures.shape,
  })
  .meta({ id: 'DomainVif', description: 'A network interface of a domain.' });
export type DomainVif = z.infer<typeof DomainVif>;

export const DomainVifList = z
  .strictObject({ vifs: z.array(DomainVif) })
  .meta({ id: 'DomainVifList', description: 'Network interfaces of a domain.' });
