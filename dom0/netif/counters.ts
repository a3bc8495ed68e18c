/** What is counted of a vif since it was attached. "Tx" and "rx" are the guest's: it transmits, it receives. */

export interface VifCounters {
  txPackets: number;
  txBytes: number;
  /** Packets answered with an error: malformed, or in pages that were not granted. */
  txErrors: number;
  rxPackets: number;
  rxBytes: number;
  /** Packets for which the guest posted pages that could not be written to. */
  rxErrors: number;
  /** Frames for a guest that is not connected, or does not post pages as fast as they come. */
  rxFull: number;
  /** Frames that waited for pages too long. */
  rxExpired: number;
  /** Multicast frames the guest has not asked for. */
  rxFiltered: number;
}

export const newCounters = (): VifCounters => ({
  txPackets: 0,
  txBytes: 0,
  txErrors: 0,
  rxPackets: 0,
  rxBytes: 0,
  rxErrors: 0,
  rxFull: 0,
  rxExpired: 0,
  rxFiltered: 0,
});
