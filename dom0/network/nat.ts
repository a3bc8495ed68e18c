/**
 * The "nat" port of a switch: router, DHCP and DNS server of a network whose guests reach the outside through sockets of
 * this process. No root, no kernel module; as slirp does it for QEMU.
 *
 * It speaks IPv4. IPv6 frames are ignored and no router is advertised, so guests use it among themselves only.
 */

import { connect as connectSocket } from 'node:net';
import { ARP_OPERATION, decodeArp, encodeArp } from './arp.js';
import { addToSum, foldSum, ipv4PseudoSum } from './checksum.js';
import { DHCP_PORT } from './dhcp.js';
import { DhcpServer } from './dhcp-server.js';
import { DnsRelay } from './dns-relay.js';
import type { NetworkHost } from './host.js';
import {
  ICMP_HEADER,
  ICMP_TYPE,
  icmpTypeOf,
  quotationOf,
  UNREACHABLE,
  writeEchoReply,
  writeIcmpError,
} from './icmp.js';
import { decodeIpv4, formatIpv4, type Ipv4Address, type Ipv4Packet } from './ipv4.js';
import { Ipv4Output, PAYLOAD } from './ipv4-output.js';
import { Ipv4Reassembly } from './ipv4-reassembly.js';
import { Leases } from './leases.js';
import {
  BROADCAST_MAC,
  formatMac,
  isMulticast,
  MAC_SIZE,
  type Mac,
  parseMac,
  readMac,
} from './mac.js';
import { DEFAULT_LIMITS, type NatContext, type NatLimits, type Policy } from './nat-context.js';
import { Neighbours } from './neighbours.js';
import { type Echo, systemPing } from './ping.js';
import {
  type Frame,
  MAX_FRAME,
  type PortCapabilities,
  type PortOwner,
  type Switch,
} from './port.js';
import { ETHERNET_SIZE, ETHERTYPE, IP_PROTOCOL, UDP } from './protocols.js';
import { type Destination, destinationOf, parseSubnet, type Subnet } from './subnet.js';
import { type Connect, TcpFlows } from './tcp-flows.js';
import { decodeTcp } from './tcp-segment.js';
import { decodeUdp, sendUdp, type UdpDatagram } from './udp.js';
import { UdpFlows } from './udp-flows.js';
import { copyOf, read16 } from './wire.js';

export interface NatOptions {
  readonly network: string;
  readonly host: NetworkHost;
  readonly mtu: number;
  readonly resolvers: () => readonly string[];
  readonly policy?: Policy | undefined;
  readonly limits?: Partial<NatLimits> | undefined;
  readonly echo?: Echo | undefined;
  readonly connect?: Connect | undefined;
}

/** Locally administered; as QEMU's slirp has it. */
const NAT_MAC = parseMac('52:55:0a:00:02:02');
const NO_ADDRESS = 0 as Ipv4Address;
const ALL = 0xffff_ffff as Ipv4Address;
const DNS_PORT = 53;
/** It takes whatever a guest leaves undone: nothing of it goes to a wire. */
const CAPABILITIES: PortCapabilities = {
  checksum: true,
  gsoTcp4: true,
  gsoTcp6: true,
  maxFrame: MAX_FRAME,
};
// biome-ignore format: one row per count
const NO_DROPS = { malformed: 0, spoofed: 0, checksum: 0, unsupported: 0 };

export class Nat implements PortOwner {
  readonly name = 'nat';
  readonly subnet: Subnet;
  readonly leases: Leases;
  readonly tcp: TcpFlows;
  readonly udp: UdpFlows;
  readonly neighbours: Neighbours;
  readonly context: NatContext;
  /** Packets that went no further, by reason. */
  readonly drops = { ...NO_DROPS };
  readonly #dhcp: DhcpServer;
  readonly #dns: DnsRelay<Mac>;
  readonly #reassembly: Ipv4Reassembly;
  readonly #echo: Echo;
  readonly #output: Ipv4Output;
  #deliver: (frame: Frame) => void = () => undefined;
  /** Whom datagrams for these ports of the gateway are for: the forwards. */
  readonly forwardedUdp = new Map<number, (from: Ipv4Address, datagram: UdpDatagram) => boolean>();

  constructor(options: NatOptions) {
    const { host, mtu } = options;
    this.subnet = parseSubnet(options.network);
    this.neighbours = new Neighbours(this.subnet);
    this.leases = new Leases(host, this.subnet, (address, mac) => {
      const user = this.neighbours.lookup(address);
      return user !== undefined && user !== mac;
    });
    this.neighbours.useLeases(this.leases);
    this.#output = new Ipv4Output(NAT_MAC, mtu, host.random(0x1_0000), (frame) =>
      this.#deliver(frame),
    );
    const limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.context = {
      host,
      subnet: this.subnet,
      mtu,
      output: this.#output,
      limits,
      resolvers: options.resolvers,
      allows: (protocol, destination, port) =>
        options.policy?.(protocol, this.#seenAs(destination), port) ?? true,
      unreachable: (mac, to, quotation, code) =>
        this.#sendError(mac, to, ICMP_TYPE.UNREACHABLE, code, quotation),
    };
    this.tcp = new TcpFlows(this.context, options.connect ?? connectToHost);
    this.udp = new UdpFlows(this.context);
    this.#dhcp = new DhcpServer(this.subnet, this.leases, mtu);
    this.#dns = new DnsRelay(host, options.resolvers, limits.dnsQueries);
    this.#reassembly = new Ipv4Reassembly(host);
    this.#echo = options.echo ?? systemPing();
  }

  attachTo(network: Switch): void {
    const port = network.attach(this, { antiSpoof: true, mac: formatMac(NAT_MAC) });
    this.#deliver = (frame) => port.send(frame);
  }

  capabilities(): PortCapabilities {
    return CAPABILITIES;
  }

  receive(frame: Frame): boolean {
    const { bytes } = frame;
    const mac = readMac(bytes, MAC_SIZE);
    if (!isMulticast(bytes, 0) && readMac(bytes, 0) !== NAT_MAC) return true; // flooded, not ours
    const type = read16(bytes, 2 * MAC_SIZE);
    if (type === ETHERTYPE.ARP) this.#receiveArp(mac, bytes);
    else if (type === ETHERTYPE.IPV4) this.#receiveIpv4(mac, frame);
    return true;
  }

  /** Asks for the MAC of a guest that has not shown itself. */
  ask(address: Ipv4Address): void {
    const { gateway } = this.subnet;
    const question = { operation: ARP_OPERATION.REQUEST, sender: NAT_MAC, senderIp: gateway };
    const packet = encodeArp({ ...question, target: 0 as Mac, targetIp: address });
    this.#output.sendRaw(BROADCAST_MAC, ETHERTYPE.ARP, packet);
  }

  /** A guest is gone: all that was open for it is closed. Its lease is remembered. */
  forget(mac: Mac): void {
    this.tcp.forget(mac);
    this.udp.forget(mac);
    this.neighbours.forget(mac);
  }

  close(): void {
    this.tcp.close();
    this.udp.close();
    this.#dns.close();
  }

  #seenAs(destination: Destination): string {
    if (destination.kind === 'host') return formatIpv4(this.subnet.gateway);
    return destination.kind === 'outside' ? destination.address : formatIpv4(this.subnet.dns);
  }

  /** Spec: RFC 826, packet reception. */
  #receiveArp(mac: Mac, bytes: Uint8Array): void {
    const packet = decodeArp(bytes, ETHERNET_SIZE);
    if (packet?.sender !== mac) return;
    const { gateway, dns } = this.subnet;
    const { senderIp, targetIp } = packet;
    const probes = senderIp === NO_ADDRESS; // RFC 5227: is the address free?
    if (!probes && !this.neighbours.learn(senderIp, mac)) {
      this.drops.spoofed++;
      return;
    }
    if (packet.operation !== ARP_OPERATION.REQUEST) return;
    if (targetIp !== gateway && targetIp !== dns) return;
    const reply = { operation: ARP_OPERATION.REPLY, sender: NAT_MAC, senderIp: targetIp };
    const answer = encodeArp({ ...reply, target: mac, targetIp: senderIp });
    this.#output.sendRaw(mac, ETHERTYPE.ARP, answer);
  }

  #receiveIpv4(mac: Mac, frame: Frame): void {
    const fragment = decodeIpv4(frame.bytes, ETHERNET_SIZE);
    if (!fragment) {
      this.drops.malformed++;
      return;
    }
    const isDhcp = fragment.source === NO_ADDRESS && fragment.protocol === IP_PROTOCOL.UDP;
    if (!isDhcp && !this.neighbours.learn(fragment.source, mac)) {
      this.drops.spoofed++;
      return;
    }
    const packet = this.#reassembly.add(fragment);
    if (!packet) return;
    if (!frame.checksumBlank && !frame.gso && !isIntact(packet)) this.drops.checksum++;
    else if (packet.ttl <= 1 && destinationOf(this.subnet, packet.destination).kind === 'outside') {
      const quotation = quotationOf(packet);
      this.#sendError(mac, packet.source, ICMP_TYPE.TIME_EXCEEDED, 0, quotation);
    } else this.#dispatch(mac, packet);
  }

  #dispatch(mac: Mac, packet: Ipv4Packet): void {
    switch (packet.protocol) {
      case IP_PROTOCOL.TCP: {
        const segment = decodeTcp(packet.bytes, packet.payload, packet.end);
        if (!segment || packet.source === NO_ADDRESS) this.drops.malformed++;
        else if (!this.#isForMany(packet.destination)) this.tcp.receive(mac, packet, segment);
        return;
      }
      case IP_PROTOCOL.UDP: {
        const datagram = decodeUdp(packet);
        if (datagram) this.#receiveUdp(mac, packet, datagram);
        else this.drops.malformed++;
        return;
      }
      case IP_PROTOCOL.ICMP:
        if (icmpTypeOf(packet) === ICMP_TYPE.ECHO) this.#receiveEcho(mac, packet);
        return;
      default:
        this.drops.unsupported++;
    }
  }

  /** Multicast and broadcast end here; the switch has shown them to the other guests. */
  #isForMany(address: Ipv4Address): boolean {
    return address >>> 28 >= 0xe || address === this.subnet.broadcast;
  }

  #receiveUdp(mac: Mac, packet: Ipv4Packet, datagram: UdpDatagram): void {
    const { destination, source } = packet;
    const { gateway, dns } = this.subnet;
    if (
      datagram.destination === DHCP_PORT.SERVER &&
      (destination === ALL || destination === gateway)
    ) {
      this.#receiveDhcp(mac, datagram.data);
    } else if (source === NO_ADDRESS || this.#isForMany(destination)) {
      return;
    } else if (destination === dns && datagram.destination === DNS_PORT) {
      void this.#receiveDns(mac, source, datagram);
    } else if (destination !== gateway || !this.#isForwarded(source, datagram)) {
      this.udp.receive(mac, packet, datagram);
    }
  }

  #isForwarded(source: Ipv4Address, datagram: UdpDatagram): boolean {
    return this.forwardedUdp.get(datagram.destination)?.(source, datagram) ?? false;
  }

  #receiveDhcp(mac: Mac, message: Uint8Array): void {
    const answer = this.#dhcp.answer(mac, message);
    if (!answer) return;
    const [to, destination] = answer.to === undefined ? [BROADCAST_MAC, ALL] : [mac, answer.to];
    const lease = this.leases.lookup(mac);
    if (lease?.state === 'bound') this.neighbours.assign(lease.address, mac);
    const datagram = {
      source: DHCP_PORT.SERVER,
      destination: DHCP_PORT.CLIENT,
      data: answer.bytes,
    };
    sendUdp(this.#output, { mac: to, source: this.subnet.gateway, destination }, datagram);
  }

  async #receiveDns(mac: Mac, guest: Ipv4Address, datagram: UdpDatagram): Promise<void> {
    const { source: destination } = datagram;
    const data = await this.#dns.query(mac, datagram.data);
    if (!data) return;
    const answer = { mac, source: this.subnet.dns, destination: guest };
    sendUdp(this.#output, answer, { source: DNS_PORT, destination, data });
  }

  #receiveEcho(mac: Mac, packet: Ipv4Packet): void {
    const destination = destinationOf(this.subnet, packet.destination);
    const { bytes, payload, end } = packet;
    if (this.#isForMany(packet.destination)) return;
    if (destination.kind === 'outside') void this.#echoOutside(mac, packet, destination.address);
    else if (destination.kind !== 'refused')
      this.#sendEchoReply(mac, packet, copyOf(bytes, payload, end));
    else this.#sendUnreachable(mac, packet.source, quotationOf(packet), UNREACHABLE.PROHIBITED);
  }

  async #echoOutside(mac: Mac, packet: Ipv4Packet, address: string): Promise<void> {
    const quotation = quotationOf(packet);
    const request = copyOf(packet.bytes, packet.payload, packet.end);
    const outcome = await this.#echo(address);
    if (outcome === 'answered') this.#sendEchoReply(mac, packet, request);
    if (outcome === 'none' || outcome === 'answered') return;
    const code = outcome === 'unable' ? UNREACHABLE.PROHIBITED : UNREACHABLE.HOST;
    this.#sendUnreachable(mac, packet.source, quotation, code);
  }

  #sendEchoReply(mac: Mac, { source, destination }: Ipv4Packet, request: Uint8Array): void {
    const length = writeEchoReply(this.#output.bytes, PAYLOAD, request);
    const route = { mac, source: destination, destination: source, protocol: IP_PROTOCOL.ICMP };
    this.#output.send(route, length);
  }

  #sendUnreachable(mac: Mac, to: Ipv4Address, quotation: Uint8Array, code: number): void {
    this.#sendError(mac, to, ICMP_TYPE.UNREACHABLE, code, quotation);
  }

  #sendError(mac: Mac, to: Ipv4Address, type: number, code: number, quotation: Uint8Array): void {
    const length = writeIcmpError(this.#output.bytes, PAYLOAD, type, code, quotation);
    const { gateway: source } = this.subnet;
    this.#output.send({ mac, source, destination: to, protocol: IP_PROTOCOL.ICMP }, length);
  }
}

const connectToHost: Connect = ({ address: host, port }) =>
  connectSocket({ host, port, allowHalfOpen: true, noDelay: true });

/** Whether the checksum of TCP or UDP is right, or there is none. */
function isIntact({ bytes, payload, end, protocol, source, destination }: Ipv4Packet): boolean {
  if (protocol !== IP_PROTOCOL.TCP && protocol !== IP_PROTOCOL.UDP) return true;
  if (protocol === IP_PROTOCOL.UDP && read16(bytes, payload + UDP.CHECKSUM) === 0) return true;
  const pseudo = ipv4PseudoSum(source, destination, protocol, end - payload);
  return end - payload >= ICMP_HEADER && foldSum(addToSum(pseudo, bytes, payload, end)) === 0xffff;
}
