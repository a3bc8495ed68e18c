/*
 * Stands in for the hypervisor under Debian's C xenstored (LD_PRELOAD), so that it starts on any Linux machine and
 * can be compared with ours. Ours; it shares no code with Xen, only the public interface of its libraries.
 *
 * The directory $XS_ORACLE is the machine:
 *   domain-<n>   exists while domain n does; its first letter is its state: r running, s shut down, d dying
 *   ring-<n>     4096 bytes: the page that domain n shares with the daemon
 *   xsd_port     the port of domain 0's own channel, in decimal; its page is ring-0
 *   kick         a FIFO: u32 port numbers that have events pending for the daemon
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define XC_WANT_COMPAT_MAP_FOREIGN_API
#include <xenctrl.h>
#include <xenevtchn.h>
#include <xengnttab.h>

/* Ports of the daemon: the virtual interrupt, and one for each domain. */
#define PORT_VIRQ 1
#define PORT_OF_DOMAIN 1000

static int dummy;
static int kick_fd = -1;

static const char *file_of(const char *kind, unsigned int domid, char *into, size_t size)
{
    const char *machine = getenv("XS_ORACLE");
    snprintf(into, size, "%s/%s-%u", machine ? machine : ".", kind, domid);
    return into;
}

static int open_kick(void)
{
    char path[512];
    const char *machine = getenv("XS_ORACLE");
    snprintf(path, sizeof(path), "%s/kick", machine ? machine : ".");
    if (kick_fd < 0)
        kick_fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    return kick_fd;
}

/* ---- libc: what the kernel of domain 0 would show under /proc/xen ---- */

int open(const char *path, int flags, ...)
{
    static int (*real_open)(const char *, int, ...);
    char machine_path[512];
    mode_t mode = 0;
    if (!real_open)
        real_open = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open");
    if (flags & O_CREAT) {
        va_list args;
        va_start(args, flags);
        mode = va_arg(args, mode_t);
        va_end(args);
    }
    if (strcmp(path, "/proc/xen/xsd_kva") == 0)
        return real_open(file_of("ring", 0, machine_path, sizeof(machine_path)), flags);
    if (strcmp(path, "/proc/xen/xsd_port") == 0) {
        const char *machine = getenv("XS_ORACLE");
        snprintf(machine_path, sizeof(machine_path), "%s/xsd_port", machine ? machine : ".");
        return real_open(machine_path, flags);
    }
    return real_open(path, flags, mode);
}

/* ---- libxenctrl ---- */

xc_interface *xc_interface_open(xentoollog_logger *logger, xentoollog_logger *dombuild, unsigned flags)
{
    (void)logger, (void)dombuild, (void)flags;
    return (xc_interface *)&dummy;
}

int xc_interface_close(xc_interface *xch)
{
    (void)xch;
    return 0;
}

int xc_domain_getinfo(xc_interface *xch, uint32_t first, unsigned int max, xc_dominfo_t *info)
{
    unsigned int found = 0;
    (void)xch;
    for (uint32_t domid = first; domid < first + 64 && found < max; domid++) {
        char path[512], state = 'r';
        int fd = open(file_of("domain", domid, path, sizeof(path)), O_RDONLY);
        if (fd < 0) {
            if (domid != 0)
                continue;
        } else {
            if (read(fd, &state, 1) != 1)
                state = 'r';
            close(fd);
        }
        memset(&info[found], 0, sizeof(info[found]));
        info[found].domid = domid;
        info[found].running = state == 'r';
        info[found].shutdown = state == 's';
        info[found].dying = state == 'd';
        found++;
    }
    return (int)found;
}

/* ---- libxengnttab ---- */

xengnttab_handle *xengnttab_open(xentoollog_logger *logger, unsigned flags)
{
    (void)logger, (void)flags;
    return (xengnttab_handle *)&dummy;
}

int xengnttab_close(xengnttab_handle *handle)
{
    (void)handle;
    return 0;
}

int xengnttab_set_max_grants(xengnttab_handle *handle, uint32_t count)
{
    (void)handle, (void)count;
    return 0;
}

void *xengnttab_map_grant_ref(xengnttab_handle *handle, uint32_t domid, uint32_t ref, int prot)
{
    char path[512];
    void *page;
    int fd = open(file_of("ring", domid, path, sizeof(path)), O_RDWR);
    (void)handle, (void)ref;
    if (fd < 0)
        return NULL;
    page = mmap(NULL, 4096, prot, MAP_SHARED, fd, 0);
    close(fd);
    return page == MAP_FAILED ? NULL : page;
}

int xengnttab_unmap(xengnttab_handle *handle, void *start, uint32_t count)
{
    (void)handle;
    return munmap(start, (size_t)count * 4096);
}

/* ---- libxenevtchn ---- */

xenevtchn_handle *xenevtchn_open(xentoollog_logger *logger, unsigned flags)
{
    (void)logger, (void)flags;
    return open_kick() < 0 ? NULL : (xenevtchn_handle *)&dummy;
}

xenevtchn_handle *xenevtchn_fdopen(xentoollog_logger *logger, int fd, unsigned flags)
{
    (void)logger, (void)fd, (void)flags;
    return (xenevtchn_handle *)&dummy;
}

int xenevtchn_fd(xenevtchn_handle *handle)
{
    (void)handle;
    return open_kick();
}

xenevtchn_port_or_error_t xenevtchn_bind_interdomain(xenevtchn_handle *handle, uint32_t domid, evtchn_port_t port)
{
    (void)handle, (void)port;
    return (xenevtchn_port_or_error_t)(PORT_OF_DOMAIN + domid);
}

xenevtchn_port_or_error_t xenevtchn_bind_virq(xenevtchn_handle *handle, unsigned int virq)
{
    (void)handle, (void)virq;
    return PORT_VIRQ;
}

int xenevtchn_unbind(xenevtchn_handle *handle, evtchn_port_t port)
{
    (void)handle, (void)port;
    return 0;
}

int xenevtchn_notify(xenevtchn_handle *handle, evtchn_port_t port)
{
    /* The domain's side looks at its ring by itself. */
    (void)handle, (void)port;
    return 0;
}

int xenevtchn_unmask(xenevtchn_handle *handle, evtchn_port_t port)
{
    (void)handle, (void)port;
    return 0;
}

xenevtchn_port_or_error_t xenevtchn_pending(xenevtchn_handle *handle)
{
    uint32_t port;
    (void)handle;
    if (read(kick_fd, &port, sizeof(port)) != sizeof(port))
        return -1;
    return (xenevtchn_port_or_error_t)port;
}
