/** The network with Linux's own stack as its guest: what real clients see of DHCP, DNS, NAT, forwards and each other. */

import { createHash } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { decode, encode } from 'dns-packet';
import { afterEach, describe, expect } from 'vitest';
import { createNetwork, type Network, type NetworkOptions } from '../../dom0/network/network.js';
import type { PortCapabilities } from '../../dom0/network/port.js';
import { KernelGuest, type Mischief, testWithKernel } from '../support/kernel-guest.js';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function networked(options: NetworkOptions = {}): Network {
  const network = createNetwork(options);
  cleanups.push(() => network.close());
  return network;
}

function guestOf(network: Network, number = 1): KernelGuest {
  const guest = new KernelGuest(`vif${number}.0`, `00:16:3e:00:00:0${number}`);
  const port = network.switch('xenbr0').attach(guest, { antiSpoof: true, mac: guest.mac });
  guest.attachTo(port);
  cleanups.push(() => port.close());
  return guest;
}

/** A server on loopback. @returns its port. */
async function serve(talk: (socket: Socket) => void): Promise<number> {
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined);
    talk(socket);
  });
  cleanups.push(() => server.close());
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return portOf(server);
}

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('not listening');
  return address.port;
}

/** A Perl program about UDP, which the shell's own tools do not speak. */
const perl = (program: string): string =>
  `perl -MIO::Socket::INET -e 'alarm 20; sub sock { IO::Socket::INET->new(Proto => q(udp), @_) } ${program.replaceAll("'", '"')}'`;

const sumOf = (data: Buffer): string => createHash('md5').update(data).digest('hex');
const pattern = (length: number): Buffer => Buffer.alloc(length, 'Xenolith and its network. ');

describe('DHCP', () => {
  testWithKernel('gives a guest its address, and the same one after a reboot', async () => {
    const network = networked();
    const [first, second] = [guestOf(network, 1), guestOf(network, 2)];
    const lease = 'router=10.0.2.2 dns=10.0.2.3 mtu=1500';
    expect((await first.run('dhcp -x hostname:first')).out).toContain(`ip=10.0.2.15/24 ${lease}`);
    expect((await second.run('dhcp')).out).toContain(`ip=10.0.2.16/24 ${lease}`);
    expect((await first.run('dhcp')).out).toContain('ip=10.0.2.15/24');
    expect(
      network.leases().map(({ mac, address, state, hostName }) => [mac, address, state, hostName]),
    ).toEqual([
      [second.mac, '10.0.2.16', 'bound', undefined],
      [first.mac, '10.0.2.15', 'bound', 'first'],
    ]);
  });

  testWithKernel('gives the address and the name that were reserved', async () => {
    const network = networked({ network: '192.168.77.0/24' });
    network.reserve('00:16:3e:00:00:01', '192.168.77.99', 'web');
    const { out } = await guestOf(network).run('dhcp');
    expect(out).toContain(
      'ip=192.168.77.99/24 router=192.168.77.2 dns=192.168.77.3 mtu=1500 hostname=web',
    );
  });
});

describe('echo', () => {
  testWithKernel('is answered by the gateway, and by who answers the host', async () => {
    const asked: string[] = [];
    const echo = async (address: string) => {
      asked.push(address);
      return address === '192.0.2.1' ? ('answered' as const) : ('unable' as const);
    };
    const { out } = await guestOf(networked({ echo })).run(
      'dhcp; for to in 10.0.2.2 192.0.2.1 192.0.2.2; do busybox ping -c 1 -W 2 -s 1000 $to; done',
    );
    expect(out).toContain('1008 bytes from 10.0.2.2: seq=0');
    expect(out).toContain('1008 bytes from 192.0.2.1: seq=0');
    expect(out).not.toContain('from 192.0.2.2');
    expect(asked).toEqual(['192.0.2.1', '192.0.2.2']);
  });

  testWithKernel('too long for a frame goes in fragments both ways', async () => {
    const { out } = await guestOf(networked()).run('dhcp; busybox ping -c 1 -W 2 -s 9000 10.0.2.2');
    expect(out).toContain('9008 bytes from 10.0.2.2');
  });
});

describe('TCP to the host', () => {
  const plain: PortCapabilities = {
    checksum: false,
    gsoTcp4: false,
    gsoTcp6: false,
    maxFrame: 1514,
  };
  const able: PortCapabilities = { checksum: true, gsoTcp4: true, gsoTcp6: true, maxFrame: 1514 };

  // biome-ignore format: one row per wire
  const wires: readonly (readonly [string, PortCapabilities, number])[] = [
    // wire                                     can     bytes
    ['that carries long frames',                able,   20_000_000],
    ['that carries only Ethernet\'s',           plain,  10_000_000],
  ];
  for (const [wire, can, size] of wires) {
    testWithKernel(`carries every byte, both ways, over a wire ${wire}`, async () => {
      const guest = guestOf(networked());
      guest.can = can;
      await expectTransfer(guest, size);
    });
  }

  // biome-ignore format: one row per mischief
  const mischiefs: readonly (readonly [string, () => Mischief])[] = [
    ['loses every 40th frame',      () => every(40, () => undefined)],
    ['sends every 10th twice',      () => every(10, (frame, pass) => { pass(frame); pass(frame); })],
    ['delays every 10th by 3 ms',   () => every(10, (frame, pass) => void setTimeout(pass, 3, frame))],
  ];
  for (const [what, mischief] of mischiefs) {
    testWithKernel(`carries every byte, both ways, over a wire that ${what}`, async () => {
      const guest = guestOf(networked());
      guest.mischief = { in: mischief(), out: mischief() };
      await expectTransfer(guest, 2_000_000);
    });
  }

  testWithKernel('closes one direction at a time, and leaves nothing open', async () => {
    const network = networked();
    const port = await serve((socket) =>
      socket.on('end', () => socket.end('and goodbye')).resume(),
    );
    const { out } = await guestOf(network).run(
      `dhcp; echo hello | busybox nc 10.0.2.2 ${port}; sleep 0.2`,
    );
    expect(out).toContain('and goodbye');
    expect(network.connections().map(({ state }) => state)).toEqual(['time-wait']);
  });

  testWithKernel(
    'is refused where nobody listens, at closed ports, and at other loopback addresses',
    async () => {
      const open = await serve((socket) => socket.end('open'));
      const closed = await serve((socket) => socket.end('closed'));
      const guest = guestOf(networked({ closedHostPorts: [closed] }));
      const { out } = await guest.run(
        `dhcp; busybox ip route add 127.0.0.0/8 via 10.0.2.2 2>/dev/null
       for to in '10.0.2.2 ${open}' '10.0.2.2 ${closed}' '10.0.2.2 1' '0.0.0.1 ${open}' '169.254.1.1 ${open}'; do
         busybox nc -w 5 $to </dev/null; echo "$to: $?"; done`,
      );
      expect(out).toContain(`open10.0.2.2 ${open}: 0`);
      expect(out).toContain(`10.0.2.2 ${closed}: 1`);
      expect(out).toContain('10.0.2.2 1: 1');
      expect(out).toContain(`169.254.1.1 ${open}: 1`);
      expect(out).not.toContain('closed');
    },
  );

  /** Sends bytes to a server and fetches as many; compares what arrived. */
  async function expectTransfer(guest: KernelGuest, size: number): Promise<void> {
    const body = pattern(size);
    const down = await serve((socket) => socket.resume().end(body));
    const up = await serve((socket) => {
      const hash = createHash('md5');
      socket.on('data', (chunk) => hash.update(chunk));
      socket.on('end', () => socket.end(`${hash.digest('hex')}\n`));
    });
    const { out } = await guest.run(
      `dhcp; busybox nc 10.0.2.2 ${down} </dev/null >/tmp/xenolith-$$; busybox md5sum </tmp/xenolith-$$
       busybox nc 10.0.2.2 ${up} </tmp/xenolith-$$; rm /tmp/xenolith-$$`,
    );
    const sum = sumOf(body);
    expect(out.split('\n').filter((line) => line.includes(sum))).toHaveLength(2);
  }

  function every(count: number, mischief: Mischief): Mischief {
    let n = 0;
    return (frame, pass) => {
      if (++n % count === 0) mischief(frame, pass);
      else pass(frame);
    };
  }
});

describe('UDP', () => {
  testWithKernel(
    "reaches the host's loopback at the gateway, and the answer comes back",
    async () => {
      const socket = createSocket('udp4', (data, from) => {
        socket.send(`you said ${data.toString().trim()}`, from.port, from.address);
      });
      cleanups.push(() => socket.close());
      await once(socket.bind(0, '127.0.0.1'), 'listening');
      const { out } = await guestOf(networked()).run(
        `dhcp; ${perl(`$s = sock(PeerAddr => '10.0.2.2:${socket.address().port}'); $s->send('hello'); $s->recv($b, 99); print $b;`)}`,
      );
      expect(out).toContain('you said hello');
    },
  );
});

describe('DNS', () => {
  /** A resolver that knows one name. */
  async function resolver(): Promise<string> {
    const socket = createSocket('udp4', (data, from) => {
      const { id, questions = [] } = decode(data);
      const answers = questions
        .filter(({ type }) => type === 'A')
        .map(({ name }) => ({ type: 'A' as const, name, ttl: 9, data: '192.0.2.77' }));
      socket.send(
        encode({ type: 'response', id: id ?? 0, questions, answers }),
        from.port,
        from.address,
      );
    });
    cleanups.push(() => socket.close());
    await once(socket.bind(0, '127.0.0.1'), 'listening');
    return `127.0.0.1:${socket.address().port}`;
  }

  testWithKernel("is answered by the host's resolver", async () => {
    const address = await resolver();
    const { out } = await guestOf(networked({ resolvers: () => [address] })).run(
      'dhcp; busybox nslookup some.example 10.0.2.3',
    );
    expect(out).toContain('Address: 192.0.2.77');
  });

  testWithKernel('is answered by the host itself if no resolver is', async () => {
    const { out } = await guestOf(networked({ resolvers: () => ['127.0.0.1:1'] })).run(
      'dhcp; busybox nslookup localhost 10.0.2.3',
    );
    expect(out).toMatch(/Address: (127\.0\.0\.1|::1)/);
  });
});

describe('forwards', () => {
  testWithKernel(
    'lead from a port of the host to a guest, for TCP and UDP, until they are removed',
    async () => {
      const network = networked();
      const guest = guestOf(network);
      const to = { guestAddress: '10.0.2.15', hostPort: 0 };
      const tcp = await network.forwards.add({ ...to, protocol: 'tcp', guestPort: 80 });
      const udp = await network.forwards.add({ ...to, protocol: 'udp', guestPort: 53 });
      const ready = createSocket('udp4');
      cleanups.push(() => ready.close());
      await once(ready.bind(0, '127.0.0.1'), 'listening');
      const running = guest.run(
        `dhcp; (echo over TCP | busybox nc -l -p 80) & sleep 0.3;
       ${perl(`$s = sock(LocalPort => 53); $r = sock(PeerAddr => '10.0.2.2:${ready.address().port}'); $r->send('ready'); $s->recv($b, 99); $s->send('to $b over UDP');`)}; wait`,
      );
      await once(ready, 'message');

      const client = connect(tcp.hostPort, '127.0.0.1');
      client.end();
      expect(Buffer.concat(await client.toArray()).toString()).toBe('over TCP\n');

      const asker = createSocket('udp4');
      cleanups.push(() => asker.close());
      asker.send('?', udp.hostPort, '127.0.0.1');
      const [answer] = (await once(asker, 'message')) as [Buffer];
      expect(answer.toString()).toBe('to ? over UDP');
      await running;

      expect(network.forwards.list().map(({ id }) => id)).toEqual([tcp.id, udp.id]);
      expect(network.forwards.remove(tcp.id)).toBe(true);
      expect(network.forwards.remove(tcp.id)).toBe(false);
      const refused = connect(tcp.hostPort, '127.0.0.1');
      const [error] = (await once(refused, 'error')) as [NodeJS.ErrnoException];
      expect(error.code).toBe('ECONNREFUSED');
    },
  );

  testWithKernel('are reset where the guest refuses', async () => {
    const network = networked();
    const guest = guestOf(network);
    const spec = {
      protocol: 'tcp',
      guestAddress: '10.0.2.15',
      hostPort: 0,
      guestPort: 81,
    } as const;
    const forward = await network.forwards.add(spec);
    const running = guest.run('dhcp; sleep 1');
    while (network.leases().length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    const client = connect(forward.hostPort, '127.0.0.1');
    const [error] = (await once(client, 'error')) as [NodeJS.ErrnoException];
    expect(error.code).toBe('ECONNRESET');
    await running;
  });
});

describe('two guests', () => {
  testWithKernel('exchange long frames that nobody has cut or summed', async () => {
    const network = networked();
    const [server, client] = [guestOf(network, 1), guestOf(network, 2)];
    let longest = 0;
    const stop = network.switch('xenbr0').capture(undefined, ({ originalLength }) => {
      longest = Math.max(longest, originalLength);
    });
    cleanups.push(stop);
    const serving = server.run('dhcp; busybox timeout 20 busybox nc -l -p 9000 -e busybox md5sum');
    while (network.leases().length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    const sending = client.run(
      'dhcp; for i in 1 2 3 4 5; do busybox dd if=/dev/zero bs=100000 count=50 2>/dev/null | busybox nc 10.0.2.15 9000 && break; sleep 0.2; done',
    );
    const [, { out }] = await Promise.all([serving, sending]);
    expect(out).toContain(sumOf(Buffer.alloc(5_000_000)));
    expect(longest).toBeGreaterThan(10_000);
  });
});
