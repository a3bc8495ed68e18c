/**
 * Event channels, 2-level ABI: the interrupts of a PV guest.
 *
 * Sending sets a bit in shared_info.evtchn_pending; if evtchn_mask lacks it, then its word's bit in vcpu_info.pending_sel
 * and then vcpu_info.upcall_pending. When that is set and upcall_mask is clear, Xen calls event_entry with the mask set.
 */
#include "kit.h"

#define PORTS 4096

static event_handler handlers[PORTS];
extern char event_entry[], failsafe_entry[];

struct vcpu_info *vcpu_info(void) { return &shared_info->vcpu[cpu_id()]; }

static void register_callback(u16 type, u16 flags, void *address) {
  struct callback callback = {.type = type, .flags = flags, .address = (u64)address};
  xen_callback_op(CALLBACKOP_register, &callback);
}

void events_init(void) {
  for (int i = 0; i < 64; i++) shared_info->evtchn_mask[i] = ~0UL;
  register_callback(CALLBACK_event, 0, event_entry);
  register_callback(CALLBACK_failsafe, 0, failsafe_entry);
  events_enable();
}

void events_enable(void) {
  struct vcpu_info *vcpu = vcpu_info();
  WRITE_ONCE(vcpu->upcall_mask, 0);
  barrier(); /* look only after the mask is open, or an event in between is lost */
  if (READ_ONCE(vcpu->upcall_pending)) xen_version(XENVER_version, NULL); /* any return from Xen delivers */
}

bool events_disable(void) {
  struct vcpu_info *vcpu = vcpu_info();
  bool enabled = !vcpu->upcall_mask;
  WRITE_ONCE(vcpu->upcall_mask, 1);
  barrier();
  return enabled;
}

void events_restore(bool enabled) {
  if (enabled) events_enable();
}

static void deliver(u32 port, struct regs *regs) {
  event_clear(port);
  if (handlers[port]) handlers[port](port, regs);
}

void event_dispatch(struct regs *regs) {
  struct vcpu_info *vcpu = vcpu_info();
  while (xchg8(&vcpu->upcall_pending, 0)) {
    u64 words = xchg64(&vcpu->pending_sel, 0);
    for (; words; words &= words - 1) {
      u64 word = lowest_bit(words), bits;
      while ((bits = shared_info->evtchn_pending[word] & ~shared_info->evtchn_mask[word]))
        deliver((u32)(word * 64 + lowest_bit(bits)), regs);
    }
  }
}

void event_bind(u32 port, event_handler handler) {
  handlers[port] = handler;
  event_unmask(port);
}

void event_mask(u32 port) { atomic_set_bit(port % 64, &shared_info->evtchn_mask[port / 64]); }

/** By hypercall: clearing the mask bit ourselves would not raise an event that came while it was set. */
void event_unmask(u32 port) {
  struct evtchn_port op = {port};
  xen_event_channel_op(EVTCHNOP_unmask, &op);
}

void event_clear(u32 port) { atomic_clear_bit(port % 64, &shared_info->evtchn_pending[port / 64]); }

bool event_pending(u32 port) { return test_bit(port, shared_info->evtchn_pending); }

s64 event_send(u32 port) {
  struct evtchn_port op = {port};
  return xen_event_channel_op(EVTCHNOP_send, &op);
}

s64 event_close(u32 port) {
  struct evtchn_port op = {port};
  event_mask(port);
  return xen_event_channel_op(EVTCHNOP_close, &op);
}

s64 event_alloc_unbound(u16 remote, u32 *port) {
  struct evtchn_alloc_unbound op = {.dom = DOMID_SELF, .remote_dom = remote};
  s64 result = xen_event_channel_op(EVTCHNOP_alloc_unbound, &op);
  *port = op.port;
  return result;
}

s64 event_bind_interdomain(u16 remote, u32 remote_port, u32 *port) {
  struct evtchn_bind_interdomain op = {.remote_dom = remote, .remote_port = remote_port};
  s64 result = xen_event_channel_op(EVTCHNOP_bind_interdomain, &op);
  *port = op.local_port;
  return result;
}

s64 event_bind_virq(u32 virq, u32 vcpu, u32 *port) {
  struct evtchn_bind_virq op = {.virq = virq, .vcpu = vcpu};
  s64 result = xen_event_channel_op(EVTCHNOP_bind_virq, &op);
  *port = op.port;
  return result;
}

s64 event_bind_ipi(u32 vcpu, u32 *port) {
  struct evtchn_bind_ipi op = {.vcpu = vcpu};
  s64 result = xen_event_channel_op(EVTCHNOP_bind_ipi, &op);
  *port = op.port;
  return result;
}
