/**
 * net: two of it on one switch. Without peer= it answers ARP, ping and UDP port 7 until it is told goodbye; with peer= it finds
 * the other by ARP, sends it datagrams of all sizes, and compares every echo.
 *
 * ABI shown: a network device from its nodes in XenStore to Connected, rings, granted pages, events only where they are asked for.
 * Command line: ip=10.0.0.1 [peer=10.0.0.2] count=1000 window=16 blank=0 (1: checksums are left to the backend) patience=20.
 */
#include "netif.h"

#define ETH_IP   0x0800
#define ETH_ARP  0x0806
#define IP_ICMP  1
#define IP_UDP   17
#define ECHO     7
#define LARGEST  1472 /* of UDP in 1500 bytes */

struct ethernet { u8 to[6], from[6], type[2]; };
struct arp { u8 head[6], operation[2], sender_mac[6], sender_ip[4], target_mac[6], target_ip[4]; };
struct ipv4 { u8 version, tos, length[2], id[2], fragment[2], ttl, protocol, checksum[2], from[4], to[4]; };
struct udp { u8 from[2], to[2], length[2], checksum[2]; };
struct datagram { struct ethernet eth; struct ipv4 ip; struct udp udp; u8 data[LARGEST]; };

static struct netfront net;
static u8 ip[4], peer_ip[4], peer_mac[6];
static bool have_peer, goodbye, blank;
static struct datagram in, out;
static u64 next_send = 1, next_echo = 1, answered, wrong;

static u16 get16(const u8 *p) { return (u16)(p[0] << 8 | p[1]); }
static void put16(u8 *p, u64 value) { p[0] = (u8)(value >> 8), p[1] = (u8)value; }

static u32 sum(u32 total, const void *bytes, size_t length) {
  const u8 *p = bytes;
  for (size_t i = 0; i < length; i++) total += i & 1 ? p[i] : (u32)p[i] << 8;
  return total;
}

static u16 fold(u32 total) {
  while (total >> 16) total = (total & 0xffff) + (total >> 16);
  return (u16)total;
}

static bool parse_ip(const char *key, u8 *address) {
  char text[32];
  u64 part = 0, count = 0;
  if (!cmdline_get(key, text, sizeof(text))) return false;
  for (const char *c = text;; c++) {
    if (*c >= '0' && *c <= '9') { part = part * 10 + (u64)(*c - '0'); continue; }
    if (count < 4) address[count++] = (u8)part;
    part = 0;
    if (!*c) return count == 4;
  }
}

/** Sum over the pseudo-header: addresses, protocol, length. */
static u32 pseudo(const struct datagram *d) { return sum(IP_UDP + get16(d->udp.length), d->ip.from, 8); }

static bool udp_is_right(const struct datagram *d) {
  return get16(d->udp.checksum) == 0 || fold(sum(pseudo(d), &d->udp, get16(d->udp.length))) == 0xffff;
}

/** Fills in the headers around `size` bytes of data and sends. */
static bool send_udp(struct datagram *d, size_t size, u16 from, u16 to) {
  memcpy(d->eth.to, peer_mac, 6);
  memcpy(d->eth.from, net.mac, 6);
  put16(d->eth.type, ETH_IP);
  d->ip = (struct ipv4){.version = 0x45, .ttl = 64, .protocol = IP_UDP};
  put16(d->ip.length, sizeof(d->ip) + sizeof(d->udp) + size);
  memcpy(d->ip.from, ip, 4);
  memcpy(d->ip.to, peer_ip, 4);
  put16(d->ip.checksum, (u16)~fold(sum(0, &d->ip, sizeof(d->ip))));
  put16(d->udp.from, from);
  put16(d->udp.to, to);
  put16(d->udp.length, sizeof(d->udp) + size);
  put16(d->udp.checksum, 0);
  u16 whole = (u16)~fold(sum(pseudo(d), &d->udp, sizeof(d->udp) + size));
  put16(d->udp.checksum, blank ? fold(pseudo(d)) : whole ? whole : 0xffff);
  return net_send(&net, d, sizeof(*d) - LARGEST + size, blank ? NETTXF_csum_blank | NETTXF_data_validated : 0);
}

static void send_arp(u16 operation, const u8 *to_mac, const u8 *to_ip) {
  struct { struct ethernet eth; struct arp arp; } frame = {.arp = {.head = {0, 1, 8, 0, 6, 4}}};
  memset(frame.eth.to, 0xff, 6);
  if (to_mac) memcpy(frame.eth.to, to_mac, 6), memcpy(frame.arp.target_mac, to_mac, 6);
  memcpy(frame.eth.from, net.mac, 6);
  put16(frame.eth.type, ETH_ARP);
  put16(frame.arp.operation, operation);
  memcpy(frame.arp.sender_mac, net.mac, 6);
  memcpy(frame.arp.sender_ip, ip, 4);
  memcpy(frame.arp.target_ip, to_ip, 4);
  net_send(&net, &frame, sizeof(frame), 0);
}

static void on_arp(const struct arp *arp) {
  if (memcmp(arp->target_ip, ip, 4)) return;
  if (get16(arp->operation) == 1) send_arp(2, arp->sender_mac, arp->sender_ip);
  if (get16(arp->operation) == 2 && !memcmp(arp->sender_ip, peer_ip, 4)) {
    memcpy(peer_mac, arp->sender_mac, 6);
    have_peer = true;
  }
}

/** An echo request goes back as a reply: only its type changes, and the checksum by as much. */
static void on_icmp(size_t length) {
  u8 *icmp = (u8 *)&in.udp;
  if (icmp[0] != 8) return;
  memcpy(in.eth.to, in.eth.from, 6);
  memcpy(in.eth.from, net.mac, 6);
  memcpy(in.ip.to, in.ip.from, 4);
  memcpy(in.ip.from, ip, 4);
  icmp[0] = 0;
  put16(icmp + 2, fold(get16(icmp + 2) + 0x0800));
  net_send(&net, &in, length, 0);
}

static u8 pattern(u64 sequence, size_t at) { return (u8)(sequence * 31 + at * 7 + (at >> 8)); }
static size_t size_of(u64 sequence) { return 8 + sequence * 101 % (LARGEST - 7); }

static bool echo_is_right(u64 sequence, size_t size) {
  if (size != size_of(sequence) || memcmp(in.data, &sequence, 8)) return false;
  for (size_t i = 8; i < size; i++)
    if (in.data[i] != pattern(sequence, i)) return false;
  return true;
}

static void on_udp(void) {
  size_t size = get16(in.udp.length) - sizeof(in.udp);
  if (size > LARGEST || !udp_is_right(&in)) { wrong++; return; }
  if (get16(in.udp.from) == ECHO) {
    if (echo_is_right(next_echo, size)) next_echo++;
    else wrong++;
    return;
  }
  if (get16(in.udp.to) != ECHO) return;
  memcpy(peer_mac, in.eth.from, 6);
  memcpy(peer_ip, in.ip.from, 4);
  goodbye = size == 7;
  wait_until(net_writable(&net));
  memcpy(out.data, in.data, size);
  answered += send_udp(&out, size, ECHO, get16(in.udp.from));
}

static void take_frames(void) {
  for (size_t length; (length = net_receive(&net, &in, sizeof(in)));) {
    u16 type = get16(in.eth.type);
    if (type == ETH_ARP && length >= 42) on_arp((struct arp *)(&in.eth + 1));
    if (type != ETH_IP || length < 42 || memcmp(in.ip.to, ip, 4)) continue;
    if (in.ip.protocol == IP_ICMP) on_icmp(length);
    if (in.ip.protocol == IP_UDP) on_udp();
  }
}

static void find_peer(u64 end) {
  while (!have_peer && now() < end) {
    send_arp(1, NULL, peer_ip);
    sleep_ns(20000000);
    take_frames();
  }
}

static bool send_next(void) {
  u64 sequence = next_send;
  memcpy(out.data, &sequence, 8);
  for (size_t i = 8; i < size_of(sequence); i++) out.data[i] = pattern(sequence, i);
  bool sent = send_udp(&out, size_of(sequence), 4000, ECHO);
  next_send += sent;
  return sent;
}

static bool something(u64 end) { return net_waits(&net) || now() > end; }

static int client(u64 count, u64 window) {
  u64 end = now() + cmdline_number("patience", 20) * 1000000000;
  find_peer(end);
  CLAIM(have_peer, "nobody answers for the peer");
  u64 start = now();
  timer_init();
  while (next_echo <= count && now() < end && !wrong) {
    while (next_send <= count && next_send - next_echo < window && send_next()) {}
    timer_set(end);
    wait_until(something(end));
    take_frames();
  }
  u64 elapsed = now() - start;
  CLAIM(next_echo > count && !wrong, "echo %lu of %lu: %lu wrong", next_echo, count, wrong);
  wait_until(net_writable(&net));
  send_udp(&out, 7, 4000, ECHO);
  sleep_ns(50000000); /* the last frame leaves before the device does */
  bench("net_round_trip", elapsed / count, "ns");
  return success("%lu echoes, all right; %lu errors", count, net.tx_errors + net.rx_errors);
}

static int server(void) {
  while (!goodbye) {
    wait_until(net_waits(&net));
    take_frames();
  }
  sleep_ns(50000000);
  return success("%lu datagrams answered, %lu wrong; %lu errors", answered, wrong, net.tx_errors + net.rx_errors);
}

int main(void) {
  CLAIM(xs_init(), "no XenStore here");
  grants_init();
  CLAIM(parse_ip("ip", ip), "ip= is missing");
  bool is_client = parse_ip("peer", peer_ip);
  blank = cmdline_number("blank", 0);
  CLAIM(net_open(&net, 0), "no device/vif/0");
  CLAIM(net_connect(&net), "the backend does not connect");
  printk("net: connected\n");
  return is_client ? client(cmdline_number("count", 1000), cmdline_number("window", 16)) : server();
}
