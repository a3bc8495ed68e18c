/** What a disk's bytes are kept in, as the ring's side sees it: positions and lengths are whole sectors within the disk. */

export interface Storage {
  /** Size of the disk: a whole number of sectors. */
  readonly bytes: number;
  /** Unit in which space can be given back; undefined if it cannot. */
  readonly discardGranularity: number | undefined;
  /** Fills the views, which may be shared with a guest, one after the other. @throws Error if the medium fails. */
  read(views: readonly Uint8Array[], position: number): Promise<void>;
  /** When this resolves, the bytes outlive this process. @throws Error if the medium fails or is full. */
  write(views: readonly Uint8Array[], position: number): Promise<void>;
  /** When this resolves, all writes that had resolved outlive the host. @throws Error */
  flush(): Promise<void>;
  /** Gives whole units back; they read as zeros. Parts of units stay as they are. @throws Error */
  discard(position: number, length: number): Promise<void>;
  /** Cannot fail. */
  close(): Promise<void>;
}

export type DiskErrorCode =
  /** There is no such file. */
  | 'not-found'
  /** The host does not let us. */
  | 'denied'
  /** A directory, a pipe, an empty file, a name that stands for no device. */
  | 'not-a-disk'
  /** The file's structure is not what it should be. */
  | 'bad-format'
  /** Another disk writes to it, or would be written to. */
  | 'in-use';

/** A disk cannot be attached. */
export class DiskError extends Error {
  override readonly name = 'DiskError';
  readonly code: DiskErrorCode;

  constructor(code: DiskErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** Node's error for a file, in our words. */
export function diskErrorOf(error: unknown, path: string): DiskError {
  if (error instanceof DiskError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return new DiskError('not-found', `there is no ${path}`);
  }
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') {
    return new DiskError('denied', `${path} cannot be opened: ${code}`);
  }
  return new DiskError('not-a-disk', `${path} cannot be used: ${message}`);
}
