/**
 * XenStore client over the ring of start_info->store_mfn: requests go out in req[], answers and watch events come in rsp[].
 * One request at a time; a watch event that arrives while we wait for an answer is kept in a small queue.
 */
#include "kit.h"

#define RING 1024
#define MASK (RING - 1)
#define WATCH_QUEUE 16
#define WATCH_TEXT  160

static struct xenstore_ring *ring;
static u32 port, transaction;
static char answer[XS_PAYLOAD_MAX + 1];
static struct watch_event { char text[WATCH_TEXT]; } watches[WATCH_QUEUE]; /* path NUL token NUL */
static u32 watch_head, watch_tail;

u32 xs_port(void) { return port; }

static void on_event(u32 p UNUSED, struct regs *regs UNUSED) {}

bool xs_init(void) {
  if (is_dom0() || !start_info->store_mfn) return false;
  ring = pfn_to_va(mfn_to_pfn(start_info->store_mfn));
  port = start_info->store_port;
  event_bind(port, on_event);
  return true;
}

static void put(const char *bytes, size_t n) {
  for (size_t i = 0; i < n; i++) {
    wait_until(ring->req_prod - READ_ONCE(ring->req_cons) < RING);
    ring->req[ring->req_prod & MASK] = bytes[i];
    barrier();
    WRITE_ONCE(ring->req_prod, ring->req_prod + 1);
    if ((ring->req_prod & (RING / 2 - 1)) == 0) event_send(port); /* keep a long message moving */
  }
}

static void get(char *bytes, size_t n) {
  for (size_t i = 0; i < n; i++) {
    wait_until(READ_ONCE(ring->rsp_prod) != ring->rsp_cons);
    barrier();
    bytes[i] = ring->rsp[ring->rsp_cons & MASK];
    WRITE_ONCE(ring->rsp_cons, ring->rsp_cons + 1);
    if ((ring->rsp_cons & (RING / 2 - 1)) == 0) event_send(port);
  }
}

static void queue_watch(size_t n) {
  if (watch_tail - watch_head == WATCH_QUEUE) watch_head++; /* the oldest is the one we can miss */
  char *text = watches[watch_tail++ % WATCH_QUEUE].text;
  memset(text, 0, WATCH_TEXT);
  memcpy(text, answer, n < WATCH_TEXT - 2 ? n : WATCH_TEXT - 2);
}

/** Reads one message into `answer`, NUL-terminated; returns its header. */
static struct xs_header receive(void) {
  struct xs_header header;
  get((char *)&header, sizeof(header));
  if (header.len > XS_PAYLOAD_MAX) panic("xenstore answers %u bytes", header.len);
  get(answer, header.len);
  answer[header.len] = 0;
  event_send(port); /* room again */
  if (header.type == XS_WATCH_EVENT) queue_watch(header.len);
  return header;
}

static const struct { const char *name; s64 number; } error_names[] = {
    {"ENOENT", ENOENT}, {"EACCES", EACCES}, {"EINVAL", EINVAL}, {"EAGAIN", EAGAIN}, {"EEXIST", EEXIST},
    {"ENOSPC", ENOSPC}, {"ENOMEM", ENOMEM}, {"E2BIG", E2BIG},   {"ENOSYS", ENOSYS}, {"EBUSY", EBUSY},
};

static s64 error_number(const char *name) {
  for (u32 i = 0; i < ARRAY_SIZE(error_names); i++)
    if (!strcmp(name, error_names[i].name)) return -error_names[i].number;
  return -EIO;
}

struct part { const char *text; size_t length; };

static u32 last_id;

/** Sends one request made of parts. */
static s64 send(u32 type, const struct part *parts, u32 count) {
  if (!ring) return -ENOSYS;
  struct xs_header header = {.type = type, .req_id = ++last_id, .tx_id = transaction};
  for (u32 i = 0; i < count; i++) header.len += (u32)parts[i].length;
  if (header.len > XS_PAYLOAD_MAX) return -E2BIG;
  put((const char *)&header, sizeof(header));
  for (u32 i = 0; i < count; i++) put(parts[i].text, parts[i].length);
  event_send(port);
  return 0;
}

/** Sends a request and waits for its answer. Returns the payload's length or -errno. */
static s64 request(u32 type, const struct part *parts, u32 count) {
  struct xs_header header;
  s64 result = send(type, parts, count);
  if (result < 0) return result;
  do header = receive();
  while (header.type == XS_WATCH_EVENT || header.req_id != last_id);
  return header.type == XS_ERROR ? error_number(answer) : (s64)header.len;
}

static s64 request1(u32 type, const char *text) {
  struct part parts[] = {{text, strlen(text) + 1}};
  return request(type, parts, 1);
}

static s64 request2(u32 type, const char *a, const char *b) {
  struct part parts[] = {{a, strlen(a) + 1}, {b, strlen(b) + 1}};
  return request(type, parts, 2);
}

static s64 take_answer(s64 n, char *to, size_t size) {
  if (n < 0) return n;
  size_t length = (size_t)n < size - 1 ? (size_t)n : size - 1;
  memcpy(to, answer, length);
  to[length] = 0;
  return (s64)length;
}

s64 xs_read(const char *path, char *value, size_t size) { return take_answer(request1(XS_READ, path), value, size); }
s64 xs_list(const char *path, char *names, size_t size) {
  return take_answer(request1(XS_DIRECTORY, path), names, size);
}
s64 xs_remove(const char *path) { return request1(XS_RM, path); }
s64 xs_watch(const char *path, const char *token) { return request2(XS_WATCH, path, token); }
/** The answer comes like an event and is dropped: for a guest that must not wait for a slow store. */
s64 xs_watch_later(const char *path, const char *token) {
  struct part parts[] = {{path, strlen(path) + 1}, {token, strlen(token) + 1}};
  return send(XS_WATCH, parts, 2);
}

s64 xs_unwatch(const char *path, const char *token) { return request2(XS_UNWATCH, path, token); }

s64 xs_write(const char *path, const char *value) {
  struct part parts[] = {{path, strlen(path) + 1}, {value, strlen(value)}}; /* the value has no NUL */
  return request(XS_WRITE, parts, 2);
}

s64 xs_printf(const char *path, const char *format, ...) {
  char value[128];
  __builtin_va_list args;
  __builtin_va_start(args, format);
  vsnprintk(value, sizeof(value), format, args);
  __builtin_va_end(args);
  return xs_write(path, value);
}

/** One permission, "r<domid>": the owner comes first, and its letter is what everybody else may do. */
s64 xs_open_for_all(const char *path) {
  char owner[8];
  snprintk(owner, sizeof(owner), "r%u", own_domid());
  return request2(XS_SET_PERMS, path, owner);
}

s64 xs_transaction_start(void) {
  u64 id;
  s64 result = request1(XS_TRANSACTION_START, "");
  if (result < 0 || !parse_number(answer, &id)) return result < 0 ? result : -EIO;
  transaction = (u32)id;
  return (s64)id;
}

s64 xs_transaction_end(bool commit) {
  s64 result = request1(XS_TRANSACTION_END, commit ? "T" : "F");
  transaction = 0;
  return result < 0 ? result : 0;
}

/** Takes in what already lies in the ring: watch events, and answers that nobody waits for. */
bool xs_watch_waits(void) {
  if (ring && watch_head == watch_tail && READ_ONCE(ring->rsp_prod) != ring->rsp_cons) receive();
  return watch_head != watch_tail;
}

bool xs_next_watch(char *path, size_t size, char *token, size_t token_size) {
  if (!xs_watch_waits()) return false;
  const char *text = watches[watch_head++ % WATCH_QUEUE].text;
  strlcpy(path, text, size);
  strlcpy(token, text + strlen(text) + 1, token_size);
  return true;
}
