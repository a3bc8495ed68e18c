/** What a client needs of any transport: bytes out, bytes in. */

export interface ChannelEvents {
  /** Bytes from the daemon, in any portions; valid only during the call. */
  data(bytes: Uint8Array): void;
  /** The channel is gone; nothing follows. */
  closed(reason: string): void;
}

export interface Channel {
  /** Called once, before anything is sent. */
  open(events: ChannelEvents): void;
  /** Queues bytes for the daemon, in order. The caller does not change them afterwards. */
  send(bytes: Uint8Array): void;
  close(): void;
}
