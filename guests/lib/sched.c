/** Giving the processor away: block, yield, poll, shut down. */
#include "kit.h"

/** Sleeps until an event is pending. Xen clears the upcall mask first, so no event can slip in between. */
void sched_block(void) { xen_sched_op(SCHEDOP_block, NULL); }

void sched_yield(void) { xen_sched_op(SCHEDOP_yield, NULL); }

/** Sleeps until `port` is pending, even while it or all upcalls are masked. */
s64 sched_poll(u32 port, u64 timeout) {
  struct sched_poll poll = {.ports = &port, .nr_ports = 1, .timeout = timeout};
  return xen_sched_op(SCHEDOP_poll, &poll);
}

void shutdown(u32 reason) {
  struct sched_shutdown how = {reason};
  for (;;) xen_sched_op(SCHEDOP_shutdown, &how);
}

/** Nobody tells a PV guest its number; but an unbound port made for DOMID_SELF reports it. */
u16 own_domid(void) {
  u32 port;
  if (event_alloc_unbound(DOMID_SELF, &port) != 0) return DOMID_SELF;
  struct evtchn_status status = {.dom = DOMID_SELF, .port = port};
  xen_event_channel_op(EVTCHNOP_status, &status);
  event_close(port);
  return status.u.unbound.dom;
}
