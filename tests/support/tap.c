/*
 * A real kernel's network stack as a guest: makes a TAP device in the network namespace it is started in, runs a command
 * there, and carries frames between the device and file descriptor 3 until the command ends. Exits as the command does.
 *
 *   tap NAME COMMAND...        on descriptor 3, both ways: u32 length (little endian), virtio_net_hdr (10 bytes), frame
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define FRAMES 3
#define MAX_FRAME (sizeof(struct virtio_net_hdr) + 14 + 65535 + 4)

static void must(int ok, const char *what) {
  if (ok) return;
  perror(what);
  exit(125);
}

static int open_tap(const char *name) {
  struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
  int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  must(fd >= 0, "/dev/net/tun");
  strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  must(ioctl(fd, TUNSETIFF, &request) == 0, "TUNSETIFF");
  must(ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6) == 0, "TUNSETOFFLOAD");
  return fd;
}

static void write_all(int fd, const uint8_t *bytes, size_t length) {
  while (length > 0) {
    ssize_t done = write(fd, bytes, length);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) exit(0); /* nobody listens any more */
    bytes += done;
    length -= done;
  }
}

static void from_tap(int tap) {
  static uint8_t buffer[4 + MAX_FRAME];
  for (;;) {
    ssize_t length = read(tap, buffer + 4, MAX_FRAME);
    if (length <= 0) return;
    uint32_t size = length;
    memcpy(buffer, &size, 4);
    write_all(FRAMES, buffer, 4 + length);
  }
}

/* Returns 0 when the other side has closed. */
static int to_tap(int tap) {
  static uint8_t buffer[4 * (4 + MAX_FRAME)];
  static size_t held;
  ssize_t length = read(FRAMES, buffer + held, sizeof buffer - held);
  if (length < 0 && errno == EINTR) return 1;
  if (length <= 0) return 0;
  held += length;
  size_t at = 0;
  for (uint32_t size; held - at >= 4; at += 4 + size) {
    memcpy(&size, buffer + at, 4);
    if (size > MAX_FRAME) exit(124);
    if (held - at < 4 + size) break;
    if (write(tap, buffer + at + 4, size) < 0 && errno == EINVAL) fprintf(stderr, "the kernel refuses a frame\n");
  }
  memmove(buffer, buffer + at, held - at);
  held -= at;
  return 1;
}

static volatile sig_atomic_t ended;
static void on_child(int signal) { ended = signal; }

int main(int argc, char **argv) {
  if (argc < 3) return 125;
  int tap = open_tap(argv[1]);
  struct sigaction action = {.sa_handler = on_child};
  sigaction(SIGCHLD, &action, NULL);
  pid_t child = fork();
  must(child >= 0, "fork");
  if (child == 0) {
    close(FRAMES);
    execvp(argv[2], argv + 2);
    perror(argv[2]);
    _exit(127);
  }
  struct pollfd polled[] = {{.fd = tap, .events = POLLIN}, {.fd = FRAMES, .events = POLLIN}};
  while (!ended) {
    if (poll(polled, 2, 100) <= 0) continue;
    if (polled[0].revents) from_tap(tap);
    if (polled[1].revents && !to_tap(tap)) break;
  }
  if (!ended) kill(child, SIGKILL);
  int status = 0;
  waitpid(child, &status, 0);
  for (int i = 0; i < 3; i++) { /* what the kernel still has to say, FINs for one */
    if (poll(polled, 1, 20) > 0) from_tap(tap);
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}
