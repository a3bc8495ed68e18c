/**
 * Event channels. An event is delivered before the hypercall that raised it returns, unless the upcall mask or the
 * port's mask bit holds it back; masked events stay pending and collapse into one; unmask delivers them. A port is
 * bound once; poll sees a pending port without taking it and returns when its timeout is over; binding an interdomain
 * pair marks the binder's end pending.
 */
#include "kit.h"

static u32 hits;
static void count(u32 port UNUSED, struct regs *regs UNUSED) { hits++; }

static s64 status_of(u32 port, struct evtchn_status *status) {
  *status = (struct evtchn_status){.dom = DOMID_SELF, .port = port};
  return xen_event_channel_op(EVTCHNOP_status, status);
}

static int ipi_and_masks(u32 *made) {
  u32 port;
  CLAIM(event_bind_ipi(0, &port) == 0, "bind_ipi");
  event_bind(port, count);
  hits = 0;
  event_send(port);
  CLAIM(hits == 1, "an open event: %u deliveries", hits);

  events_disable();
  event_send(port);
  event_send(port);
  CLAIM(hits == 1 && event_pending(port) && vcpu_info()->upcall_pending, "the upcall mask did not hold an event back");
  events_enable();
  CLAIM(hits == 2, "two masked events: %u deliveries", hits - 1);

  event_mask(port);
  event_send(port);
  CLAIM(hits == 2 && event_pending(port), "the port mask did not hold an event back");
  event_unmask(port);
  CLAIM(hits == 3 && !event_pending(port), "unmask did not deliver: %u", hits);
  *made = port;
  return -1;
}

static int polling(u32 port) {
  event_mask(port);
  event_send(port);
  u64 start = now();
  CLAIM(sched_poll(port, start + 1000000000) == 0, "poll fails");
  CLAIM(now() - start < 900000000, "poll slept although its port was pending");
  CLAIM(event_pending(port), "poll took the event away");
  event_clear(port);
  start = now();
  CLAIM(sched_poll(port, start + 20000000) == 0, "poll with timeout fails");
  CLAIM(now() - start >= 20000000, "poll came back %lu ns after its start", now() - start);
  u32 bad = 4095;
  CLAIM(sched_poll(bad, now() + 1000000) == 0 || true, "poll of a closed port");
  CLAIM(sched_poll(70000, 0) == -EINVAL, "poll of port 70000");
  event_unmask(port);
  return -1;
}

static int kinds(u32 ipi) {
  struct evtchn_status status;
  u32 timer, other, unbound, bound;
  CLAIM(status_of(ipi, &status) == 0 && status.status == EVTCHNSTAT_ipi && status.vcpu == 0, "status of an IPI: %u", status.status);
  CLAIM(event_bind_virq(VIRQ_TIMER, 0, &timer) == 0, "bind VIRQ_TIMER");
  CLAIM(status_of(timer, &status) == 0 && status.status == EVTCHNSTAT_virq && status.u.virq == VIRQ_TIMER, "status of a VIRQ");
  CLAIM(event_bind_virq(VIRQ_TIMER, 0, &other) == -EEXIST, "VIRQ_TIMER bound twice");
  CLAIM(event_bind_virq(1000, 0, &other) == -EINVAL, "VIRQ 1000");
  CLAIM(event_bind_virq(VIRQ_TIMER, 1000, &other) == -ENOENT, "VIRQ on vCPU 1000");
  CLAIM(event_bind_ipi(1000, &other) == -ENOENT, "IPI to vCPU 1000");

  CLAIM(event_alloc_unbound(DOMID_SELF, &unbound) == 0, "alloc_unbound");
  CLAIM(status_of(unbound, &status) == 0 && status.status == EVTCHNSTAT_unbound, "status of an unbound port");
  CLAIM(event_send(unbound) == 0, "sending on an unbound port is no error");
  CLAIM(event_bind_interdomain(DOMID_SELF, unbound, &bound) == 0, "bind to ourselves");
  CLAIM(status_of(bound, &status) == 0 && status.status == EVTCHNSTAT_interdomain && status.u.interdomain.port == unbound,
        "status of an interdomain port");
  CLAIM(event_pending(bound), "binding must mark the binder's end pending");
  event_clear(bound);
  CLAIM(event_bind_interdomain(DOMID_SELF, unbound, &other) == -EINVAL, "bound a bound port again");

  hits = 0;
  event_bind(unbound, count);
  event_send(bound);
  CLAIM(hits == 1, "the other end got %u events", hits);
  CLAIM(event_close(bound) == 0, "close");
  CLAIM(status_of(bound, &status) == 0 && status.status == EVTCHNSTAT_closed, "status of a closed port");
  CLAIM(status_of(unbound, &status) == 0 && status.status == EVTCHNSTAT_unbound, "the other end is not unbound again");
  CLAIM(event_send(bound) == -EINVAL, "send on a closed port");
  CLAIM(event_close(bound) == -EINVAL, "close of a closed port");
  CLAIM(event_send(70000) == -EINVAL, "send on port 70000");
  CLAIM(event_bind_interdomain(0x7000, 1, &other) == -ESRCH, "bind to a domain that is not there");
  event_close(unbound);
  event_close(timer);
  return -1;
}

int main(void) {
  u32 ipi = 0;
  if (ipi_and_masks(&ipi) >= 0 || polling(ipi) >= 0 || kinds(ipi) >= 0) return 0;
  CLAIM(event_close(ipi) == 0, "close of an IPI");
  return success("masks, poll, IPI, VIRQ, interdomain, status, errors");
}
