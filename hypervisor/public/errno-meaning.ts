/** What Xen means by each error number of public/errno.h when it refuses a request, in a sentence for whoever made it. */

import type { ErrnoName } from './errno.js';

// biome-ignore format: one row per error
const MEANINGS: Readonly<Partial<Record<ErrnoName, string>>> = {
  EPERM:      'the caller is not privileged to do this, or not to that domain or page',
  ENOENT:     'there is no such vCPU, node or entry',
  ESRCH:      'there is no domain of that number',
  EINTR:      'it was interrupted before it was done',
  EIO:        'the device failed',
  ENXIO:      'there is no such device or address',
  E2BIG:      'more was asked for than fits',
  EAGAIN:     'not now: it is worth trying again',
  ENOMEM:     'there are no free frames for it, of the host or of what the domain may have',
  EACCES:     'access is denied',
  EFAULT:     'a pointer leads to memory that the guest cannot read or write',
  EBUSY:      'what it needs is in use',
  EEXIST:     'it is there already',
  EXDEV:      'it lies on the other side of a border that it may not cross',
  ENODEV:     'there is no such device or register',
  EINVAL:     'an argument, or what it refers to, breaks a rule of the interface',
  ENOSPC:     'a table or a limit is full',
  ERANGE:     'a value is out of range',
  EDEADLK:    'it would wait for itself',
  ENOSYS:     'there is no such hypercall or operation here',
  ENODATA:    'there is nothing to be told',
  ETIME:      'the time has passed already',
  EBADMSG:    'a message is damaged',
  EOVERFLOW:  'a value does not fit where it belongs',
  ERESTART:   'it is to be made again to go on',
  EMSGSIZE:   'a message is too long',
  EOPNOTSUPP: 'it is not offered in this mode',
  EADDRINUSE: 'the address is in use',
  ENOBUFS:    'there is no room for it at the moment',
  EISCONN:    'it is connected already',
  ENOTCONN:   'it is not connected',
  ETIMEDOUT:  'nobody answered in time',
};

/** @returns undefined for a name that Xen does not use to refuse anything. */
export const errnoMeaning = (name: string): string | undefined =>
  Object.hasOwn(MEANINGS, name) ? MEANINGS[name as ErrnoName] : undefined;
