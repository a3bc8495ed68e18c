/**
 * The console. A domU has a ring shared with dom0: we write bytes at out_prod and read bytes at in_cons, and the event channel
 * of start_info tells either side to look. dom0 itself has no such ring and talks to Xen's own console by console_io.
 *
 *   out[2048]:   out_cons ≤ out_prod ≤ out_cons + 2048      (free-running counters, masked on use)
 *   in[1024]:    in_cons  ≤ in_prod  ≤ in_cons + 1024
 */
#include "kit.h"

static struct console_ring *ring; /* NULL: console_io */
static u32 port;

u32 console_port(void) { return port; }

static void on_event(u32 p UNUSED, struct regs *regs UNUSED) {} /* waking up is enough */

void console_init(void) {
  if (is_dom0()) {
    if (event_bind_virq(VIRQ_CONSOLE, 0, &port) == 0) event_bind(port, on_event);
    return;
  }
  ring = pfn_to_va(mfn_to_pfn(start_info->console_mfn));
  port = start_info->console_port;
  event_bind(port, on_event);
}

void emergency_print(const char *text) { xen_console_io(CONSOLEIO_write, strlen(text), text); }

static bool ring_full(void) { return ring->out_prod - READ_ONCE(ring->out_cons) >= sizeof(ring->out); }

/** Waits with events masked, so that it works inside handlers too: poll wakes on a pending port all the same. */
static void wait_for_room(void) {
  bool enabled = events_disable();
  event_send(port);
  while (ring_full()) {
    sched_poll(port, 0);
    event_clear(port);
  }
  events_restore(enabled);
}

static void ring_put(char c) {
  if (ring_full()) wait_for_room();
  ring->out[ring->out_prod & (sizeof(ring->out) - 1)] = c;
  barrier(); /* the byte before the counter that publishes it */
  WRITE_ONCE(ring->out_prod, ring->out_prod + 1);
}

void console_write(const char *text, size_t n) {
  if (!ring) {
    xen_console_io(CONSOLEIO_write, n, text);
    return;
  }
  for (size_t i = 0; i < n; i++) {
    if (text[i] == '\n') ring_put('\r');
    ring_put(text[i]);
  }
  event_send(port);
}

void console_flush(void) {
  if (!ring) return;
  bool enabled = events_disable();
  u64 patience = now() + 1000000000;
  while (READ_ONCE(ring->out_cons) != ring->out_prod && now() < patience) {
    sched_poll(port, now() + 10000000);
    event_clear(port);
  }
  events_restore(enabled);
}

int console_getc(void) {
  if (!ring) {
    char c = 0;
    return xen_console_io(CONSOLEIO_read, 1, &c) == 1 ? (u8)c : -1;
  }
  if (ring->in_cons == READ_ONCE(ring->in_prod)) return -1;
  barrier();
  u8 c = (u8)ring->in[ring->in_cons & (sizeof(ring->in) - 1)];
  WRITE_ONCE(ring->in_cons, ring->in_cons + 1);
  event_send(port); /* there is room again */
  return c;
}

void console_read_line(char *line, size_t size) {
  size_t n = 0;
  for (;;) {
    int c;
    wait_until((c = console_getc()) >= 0);
    if (c == '\r' || c == '\n') break;
    if ((c == 0x7f || c == '\b') && n) {
      n--;
      console_write("\b \b", 3);
    } else if (c >= ' ' && n + 1 < size) {
      line[n++] = (char)c;
      console_write(&line[n - 1], 1);
    }
  }
  line[n] = 0;
  console_write("\n", 1);
}
