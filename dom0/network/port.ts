/**
 * What a port of the virtual switch is: the seam between the switch and those who attach to it (netif backends, the NAT).
 *
 * A frame keeps what its sender left undone (a checksum, the cutting of a long TCP segment) for as long as it can: the
 * switch does it only for a receiver that cannot. So two guests that can exchange 64 KiB frames nobody ever sums.
 */

/** Longest frame: an Ethernet header and the longest IP packet. */
export const MAX_FRAME = 14 + 0xffff;
/** Shortest: an Ethernet header. Nothing is padded to Ethernet's 60 bytes. */
export const MIN_FRAME = 14;

/** A TCP segment longer than the MTU, to be cut into segments of `size` bytes of payload for who cannot take it. */
export interface Gso {
  readonly kind: 'tcpv4' | 'tcpv6';
  readonly size: number;
}

/** An Ethernet frame on its way through the switch. `bytes` may not be kept beyond the call unless copied. */
export interface Frame {
  /** From destination MAC on; no FCS. 14 to 65,549 bytes (a GSO frame may be long). Nobody but its sender writes to it. */
  readonly bytes: Uint8Array;
  /** The TCP/UDP checksum is not computed yet: only the pseudo-header sum is in its place (netif NETTXF_csum_blank). */
  readonly checksumBlank?: boolean | undefined;
  /** Present on a TCP segment longer than the MTU; its checksum is always blank. */
  readonly gso?: Gso | undefined;
}

/** What a port's owner can take; frames are cut (GSO) and checksummed by the switch for whom cannot. */
export interface PortCapabilities {
  /** Takes frames with `checksumBlank`. */
  readonly checksum: boolean;
  readonly gsoTcp4: boolean;
  readonly gsoTcp6: boolean;
  /** Bytes of the longest frame that is not GSO: 1514 for an MTU of 1500. */
  readonly maxFrame: number;
}

export interface PortOwner {
  /** "vif3.0", "nat": what captures and counters call it. */
  readonly name: string;
  /** Asked for each frame: may change while the port is attached. */
  capabilities(): PortCapabilities;
  /**
   * Takes the frame or refuses it (full): the switch counts a drop. Must not block, must not send from within, and may be
   * called while the owner itself is in `send` (an answer of the NAT).
   */
  receive(frame: Frame): boolean;
}

/** Why a frame went no further. */
export type DropReason =
  | 'spoofed' // its source address is not the port's to use
  | 'too-long' // longer than any frame, or than its receiver can take
  | 'truncated' // shorter than an Ethernet header
  | 'malformed' // says it is GSO and is no TCP segment
  | 'rate' // the port's rate limit, with its queue full
  | 'full' // its receiver refused it
  | 'no-route'; // for the port it came from, or for nobody's ears (IEEE 802.1D's reserved addresses)

export interface Traffic {
  readonly frames: number;
  readonly bytes: number;
}

export interface PortCounters {
  /** From the owner into the switch. */
  readonly sent: Traffic;
  /** From the switch to the owner. */
  readonly received: Traffic;
  readonly drops: Readonly<Record<DropReason, number>>;
}

/** xl's `rate=`, as XenStore's vif node `rate` says it: bytes per interval in microseconds. */
export interface RateLimit {
  readonly bytes: number;
  readonly intervalUs: number;
}

export interface AttachOptions {
  /** The port's own address, "00:16:3e:…": no other port may use it, and with `antiSpoof` the port may use no other. */
  readonly mac?: string | undefined;
  readonly antiSpoof: boolean;
  /** Limits what the owner sends. */
  readonly rate?: RateLimit | undefined;
}

export interface SwitchPort {
  readonly name: string;
  send(frame: Frame): void;
  readonly counters: PortCounters;
  close(): void;
}

/** A frame as a capture sees it: checksums completed, cut at nothing. The bytes are the capture's own. */
export interface CapturedPacket {
  /** Since 1970. */
  readonly timestampNs: bigint;
  readonly bytes: Uint8Array;
  readonly originalLength: number;
  /** Name of the port it was seen at. */
  readonly port: string;
  /** As the owner of the port sees it. */
  readonly direction: 'sent' | 'received';
}

export type CaptureSink = (packet: CapturedPacket) => void;

/** One per bridge name: "xenbr0" with NAT is the default, others are isolated. */
export interface Switch {
  readonly name: string;
  /** In the order in which they were attached. */
  readonly ports: readonly SwitchPort[];
  /** @throws TypeError for an address that is none, or `antiSpoof` without one: a mistake of the host. */
  attach(owner: PortOwner, options: AttachOptions): SwitchPort;
  /**
   * Shows `sink` each frame of one port, sent and received, or of all ports, each frame once where it enters.
   * @returns how to stop.
   */
  capture(port: SwitchPort | undefined, sink: CaptureSink): () => void;
}
