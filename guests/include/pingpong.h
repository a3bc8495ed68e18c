/**
 * What ping and pong agree on: how they meet, and the page they share.
 *
 *   pong writes  data/<pong>/ready = 1                         and opens it for everybody to read
 *   ping finds it in a /local/domain/N near its own, grants a page to N, makes an unbound port for N, and writes
 *                data/<ping>/{ref, port}, then data/<ping>/peer = N
 *   pong finds its own number there, maps the page, binds the port, and answers every message until GOODBYE.
 */
#pragma once
#include "kit.h"

#define SLOTS   64
#define GOODBYE (~0UL)

struct message { u64 sequence, value; };

/** One direction: a single producer, a single consumer, free-running counters. */
struct channel {
  u32 produced, consumed;
  struct message slots[SLOTS];
};

struct shared_page {
  struct channel there, back; /* ping → pong, pong → ping */
};

static inline u64 reply_value(u64 value) { return value * 0x9e3779b97f4a7c15UL + 1; }

static inline bool channel_waits(const struct channel *c) { return READ_ONCE(c->produced) != c->consumed; }

static inline void channel_put(struct channel *c, struct message m) {
  c->slots[c->produced % SLOTS] = m;
  barrier(); /* the message before the counter */
  WRITE_ONCE(c->produced, c->produced + 1);
}

static inline struct message channel_take(struct channel *c) {
  barrier();
  struct message m = c->slots[c->consumed % SLOTS];
  barrier(); /* the copy before the slot is given back */
  WRITE_ONCE(c->consumed, c->consumed + 1);
  return m;
}

/** Writes a node below our own data/ that everybody may read. */
static inline s64 publish(const char *name, const char *leaf, u64 value) {
  char path[96];
  snprintk(path, sizeof(path), "data/%s/%s", name, leaf);
  s64 result = xs_printf(path, "%lu", value);
  return result < 0 ? result : xs_open_for_all(path);
}

/** Reads data/<name>/<leaf> of a domain; false: not there or not a number. */
static inline bool consult(const char *domain, const char *name, const char *leaf, u64 *value) {
  char path[128], text[32];
  snprintk(path, sizeof(path), "/local/domain/%s/data/%s/%s", domain, name, leaf);
  return xs_read(path, text, sizeof(text)) > 0 && parse_number(text, value);
}

/** Does this domain have data/<name>/<leaf>, optionally with one value? */
static inline bool offers(s64 domid, const char *name, const char *leaf, s64 wanted) {
  char domain[16];
  u64 value;
  snprintk(domain, sizeof(domain), "%ld", domid);
  return domid > 0 && consult(domain, name, leaf, &value) && (wanted < 0 || value == (u64)wanted);
}

/** Looks at the domains around our own number: a guest may read what others opened, but not list them. */
static inline s64 find_domain(const char *name, const char *leaf, s64 wanted) {
  s64 own = own_domid();
  for (s64 distance = 1; distance <= 32; distance++) {
    if (offers(own + distance, name, leaf, wanted)) return own + distance;
    if (offers(own - distance, name, leaf, wanted)) return own - distance;
  }
  return -1;
}

/** Waits for such a domain, looking near our own number or only at the one given as domid=N. */
static inline s64 await_domain(const char *name, const char *leaf, s64 wanted) {
  u64 patience = now() + cmdline_number("patience", 60) * 1000000000;
  for (;;) {
    s64 given = (s64)cmdline_number("domid", 0);
    s64 found = given ? (offers(given, name, leaf, wanted) ? given : -1) : find_domain(name, leaf, wanted);
    if (found >= 0 || now() > patience) return found;
    sleep_ns(10000000);
  }
}

static inline void wake_only(u32 port UNUSED, struct regs *regs UNUSED) {}
