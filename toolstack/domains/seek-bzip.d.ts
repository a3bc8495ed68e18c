/** What is used of seek-bzip, which brings no types. */
declare module 'seek-bzip' {
  /** Like its own lib/stream.js, whose other methods it does without. */
  interface ByteSource {
    readByte(): number;
    /** @returns how many bytes were read. */
    read(buffer: Uint8Array, offset: number, length: number): number;
  }
  interface ByteSink {
    writeByte(byte: number): void;
  }
  interface Bunzip {
    /** @throws an Error for a damaged stream, and what its source and sink throw. */
    decode(input: ByteSource, output: ByteSink): void;
  }
  const bunzip: Bunzip;
  export = bunzip;
}
