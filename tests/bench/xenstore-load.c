/*
 * Load for a XenStore daemon, over its socket, in the raw wire protocol.
 *
 *   load SOCKET rate   OP CONNECTIONS PIPELINE SECONDS   operations per second
 *   load SOCKET fanout WATCHES ROUNDS                    ns from one write to the last of the events (median)
 *   load SOCKET watch  COUNT                             sets watches that will not match, then waits for end of input
 *   load SOCKET grow   FROM TO                           creates nodes; creates per second, then ns of a read, of a
 *                                                        write and of a transaction with both
 *
 * OP: read, write, directory, transaction (START, 5 reads, 5 writes, END).
 */
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { DIRECTORY = 1, READ = 2, WATCH = 4, START = 6, END = 7, WRITE = 11, MKDIR = 12, EVENT = 15, ERROR = 16 };

struct header {
    uint32_t type, req_id, tx_id, len;
};

struct connection {
    int fd;
    uint32_t tx_id;
    int step;         /* within a transaction */
    size_t have;
    char in[1 << 17];
    char name[32];    /* its own directory */
};

static const char *socket_path;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int dial(void)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    strncpy(to.sun_path, socket_path, sizeof(to.sun_path) - 1);
    /* C xenstored lets one connection wait: the next is told to try again. */
    for (int tries = 0; connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0; tries++) {
        if (errno != EAGAIN || tries == 1000)
            die("connect");
        usleep(1000);
    }
    return fd;
}

static size_t put(char *at, uint32_t type, uint32_t tx_id, const void *body, size_t len)
{
    struct header h = { type, 0, tx_id, (uint32_t)len };
    memcpy(at, &h, sizeof(h));
    memcpy(at + sizeof(h), body, len);
    return sizeof(h) + len;
}

static void send_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, bytes, len);
        if (n <= 0)
            die("write");
        bytes += n;
        len -= (size_t)n;
    }
}

static void receive(int fd, void *into, size_t len)
{
    char *at = into;
    while (len > 0) {
        ssize_t n = read(fd, at, len);
        if (n <= 0)
            die("read");
        at += n;
        len -= (size_t)n;
    }
}

/* One request and its reply; events are skipped. Returns the reply's type. */
static uint32_t ask(int fd, uint32_t type, uint32_t tx_id, const void *body, size_t len, char *reply)
{
    char out[8192];
    struct header h;
    send_all(fd, out, put(out, type, tx_id, body, len));
    do {
        receive(fd, &h, sizeof(h));
        receive(fd, reply, h.len);
        reply[h.len] = 0;
    } while (h.type == EVENT);
    return h.type;
}

static void must(int fd, uint32_t type, const void *body, size_t len)
{
    char reply[4097];
    if (ask(fd, type, 0, body, len, reply) == ERROR) {
        fprintf(stderr, "refused: %s\n", reply);
        exit(1);
    }
}

static size_t path_value(char *at, const char *path, const char *value)
{
    size_t n = strlen(path) + 1;
    memcpy(at, path, n);
    memcpy(at + n, value, strlen(value));
    return n + strlen(value);
}

/* The next request of a connection. */
static size_t next_request(struct connection *c, const char *op, char *out)
{
    char body[128], path[64];
    snprintf(path, sizeof(path), "%s/value", c->name);
    if (strcmp(op, "read") == 0)
        return put(out, READ, 0, path, strlen(path) + 1);
    if (strcmp(op, "write") == 0)
        return put(out, WRITE, 0, body, path_value(body, path, "new value"));
    if (strcmp(op, "directory") == 0)
        return put(out, DIRECTORY, 0, "/bench/dir", sizeof("/bench/dir"));
    int step = c->step++;
    if (step == 0)
        return put(out, START, 0, "", 1);
    if (step == 11) {
        c->step = 0;
        return put(out, END, c->tx_id, "T", 2);
    }
    snprintf(path, sizeof(path), "%s/t%d", c->name, (step - 1) / 2);
    if (step % 2)
        return put(out, READ, c->tx_id, path, strlen(path) + 1);
    return put(out, WRITE, c->tx_id, body, path_value(body, path, "new value"));
}

/* Takes whole replies out of the input; returns how many operations they finish, sends one request for each. */
static long take_replies(struct connection *c, const char *op)
{
    char out[1 << 16];
    size_t at = 0, filled = 0;
    long finished = 0;
    int transaction = strcmp(op, "transaction") == 0;
    while (c->have - at >= sizeof(struct header)) {
        struct header h;
        memcpy(&h, c->in + at, sizeof(h));
        if (c->have - at < sizeof(h) + h.len)
            break;
        if (h.type == ERROR && !transaction) {
            fprintf(stderr, "refused: %.*s\n", (int)h.len, c->in + at + sizeof(h));
            exit(1);
        }
        if (h.type == START)
            c->tx_id = (uint32_t)atoi(c->in + at + sizeof(h));
        if (!transaction || h.type == END)
            finished++;
        at += sizeof(h) + h.len;
        filled += next_request(c, op, out + filled);
    }
    memmove(c->in, c->in + at, c->have - at);
    c->have -= at;
    send_all(c->fd, out, filled);
    return finished;
}

static void rate(const char *op, int count, int pipeline, double seconds)
{
    struct connection *all = calloc((size_t)count, sizeof(*all));
    struct pollfd *fds = calloc((size_t)count, sizeof(*fds));
    char out[1 << 16], body[128], path[64];
    long done = 0;
    for (int i = 0; i < count; i++) {
        all[i].fd = fds[i].fd = dial();
        fds[i].events = POLLIN;
        snprintf(all[i].name, sizeof(all[i].name), "/bench/%d", i);
        for (int t = 0; t < 5; t++) {
            snprintf(path, sizeof(path), "%s/t%d", all[i].name, t);
            must(all[i].fd, WRITE, body, path_value(body, path, "value"));
        }
        snprintf(path, sizeof(path), "%s/value", all[i].name);
        must(all[i].fd, WRITE, body, path_value(body, path, "some value"));
    }
    for (int i = 0; i < 100; i++) {
        snprintf(path, sizeof(path), "/bench/dir/entry-%02d", i);
        must(all[0].fd, MKDIR, path, strlen(path) + 1);
    }
    for (int i = 0; i < count; i++) {
        size_t filled = 0;
        for (int p = 0; p < pipeline; p++)
            filled += next_request(&all[i], op, out + filled);
        send_all(all[i].fd, out, filled);
    }
    double start = now(), end = start + seconds;
    while (now() < end) {
        if (poll(fds, (nfds_t)count, 1000) < 0)
            die("poll");
        for (int i = 0; i < count; i++) {
            struct connection *c = &all[i];
            if (!(fds[i].revents & (POLLIN | POLLHUP)))
                continue;
            ssize_t n = read(c->fd, c->in + c->have, sizeof(c->in) - c->have);
            if (n <= 0)
                die("read");
            c->have += (size_t)n;
            done += take_replies(c, op);
        }
    }
    printf("%.0f\n", done / (now() - start));
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Reads until `count` packets have come. */
static void take_events(int fd, int count)
{
    static char buffer[1 << 20];
    size_t have = 0, at = 0;
    while (count > 0) {
        ssize_t n = read(fd, buffer + have, sizeof(buffer) - have);
        if (n <= 0)
            die("read");
        have += (size_t)n;
        while (count > 0 && have - at >= sizeof(struct header)) {
            struct header h;
            memcpy(&h, buffer + at, sizeof(h));
            if (have - at < sizeof(h) + h.len)
                break;
            at += sizeof(h) + h.len;
            count--;
        }
    }
}

static void fanout(int watches, int rounds)
{
    int watcher = dial(), writer = dial();
    char body[128], in[4097];
    double *took = calloc((size_t)rounds, sizeof(*took));
    must(writer, WRITE, body, path_value(body, "/bench/fan", "x"));
    for (int i = 0; i < watches; i++) {
        size_t n = (size_t)sprintf(body, "/bench/fan%ctoken-%d", 0, i) + 1;
        struct header h;
        must(watcher, WATCH, body, n);
        receive(watcher, &h, sizeof(h));
        receive(watcher, in, h.len);
    }
    for (int r = 0; r < rounds; r++) {
        double start = now();
        must(writer, WRITE, body, path_value(body, "/bench/fan", "y"));
        take_events(watcher, watches);
        took[r] = (now() - start) * 1e9;
    }
    qsort(took, (size_t)rounds, sizeof(*took), by_size);
    printf("%.0f\n", took[rounds / 2]);
}

static void set_watches(int count)
{
    int fd = dial();
    char body[128];
    for (int i = 0; i < count; i++) {
        size_t n = (size_t)sprintf(body, "/other/%d/%d%ctoken", i / 100, i % 100, 0) + 1;
        must(fd, WATCH, body, n);
    }
    printf("ready\n");
    fflush(stdout);
    while (read(0, body, sizeof(body)) > 0)
        ;
}

static char *grown(char *path, long i)
{
    sprintf(path, "/grow/%ld/%ld/%ld", i / 10000, i / 100 % 100, i % 100);
    return path;
}

static long any_below(long limit)
{
    return (long)((double)random() / RAND_MAX * (double)(limit - 1));
}

/* START, a read and a write of one node, END. */
static void transact(int fd, long i)
{
    char body[128], path[64], reply[4097];
    ask(fd, START, 0, "", 1, reply);
    uint32_t id = (uint32_t)atoi(reply);
    grown(path, i);
    ask(fd, READ, id, path, strlen(path) + 1, reply);
    ask(fd, WRITE, id, body, path_value(body, path, "in a transaction"), reply);
    if (ask(fd, END, id, "T", 2, reply) == ERROR) {
        fprintf(stderr, "refused: %s\n", reply);
        exit(1);
    }
}

static void grow(long from, long to)
{
    int fd = dial(), probes = 20000;
    char body[128], path[64], reply[4097];
    double start = now();
    for (long i = from; i < to; i++)
        must(fd, WRITE, body, path_value(body, grown(path, i), "a value"));
    double created = now();
    for (int p = 0; p < probes; p++) {
        grown(path, any_below(to));
        ask(fd, READ, 0, path, strlen(path) + 1, reply);
    }
    double reads = now();
    for (int p = 0; p < probes; p++)
        must(fd, WRITE, body, path_value(body, grown(path, any_below(to)), "another"));
    double writes = now();
    for (int p = 0; p < probes / 4; p++)
        transact(fd, any_below(to));
    printf("%.0f %.0f %.0f %.0f\n", (to - from) / (created - start), (reads - created) * 1e9 / probes,
           (writes - reads) * 1e9 / probes, (now() - writes) * 1e9 / (probes / 4));
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return 2;
    socket_path = argv[1];
    if (strcmp(argv[2], "rate") == 0 && argc == 7)
        rate(argv[3], atoi(argv[4]), atoi(argv[5]), atof(argv[6]));
    else if (strcmp(argv[2], "fanout") == 0 && argc == 5)
        fanout(atoi(argv[3]), atoi(argv[4]));
    else if (strcmp(argv[2], "watch") == 0)
        set_watches(atoi(argv[3]));
    else if (strcmp(argv[2], "grow") == 0 && argc == 5)
        grow(atol(argv[3]), atol(argv[4]));
    else
        return 2;
    return 0;
}
