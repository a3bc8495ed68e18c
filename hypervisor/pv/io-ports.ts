/**
 * I/O ports of a guest without devices: every port is nobody's, so reads give all ones and writes vanish. Only the
 * address latch of PCI configuration space remembers what was written, because kernels probe for it.
 */

/** PCI configuration address (PCI 3.0 §3.2.2.3.2): a 32-bit latch. */
const PCI_CONFIG_ADDRESS = 0xcf8;

export class IoPorts {
  #configAddress = 0;

  /** @param size 1, 2 or 4 bytes. */
  read(port: number, size: number): number {
    if (port === PCI_CONFIG_ADDRESS && size === 4) return this.#configAddress;
    return size === 4 ? 0xffff_ffff : 2 ** (size * 8) - 1;
  }

  write(port: number, size: number, value: number): void {
    if (port === PCI_CONFIG_ADDRESS && size === 4) this.#configAddress = value >>> 0;
  }
}
