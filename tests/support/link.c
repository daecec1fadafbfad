/*
 * A bad line between two networks, as a program: what one TUN device is given comes out of another one late,
 * twice, in another order, or never.
 *
 *   link NEAR FAR SEED
 *
 * makes device FAR in the caller's network and NEAR in a new one of its own, whose path is
 * /proc/PID/ns/net, says "ready", and reads what the line is like from standard input, a line each time:
 *
 *   delay_ms loss_permille reorder_permille double_permille mtu_bytes
 *
 * each way; mtu_bytes: what is longer and may not be taken apart vanishes without a word. The end of
 * standard input ends it; then it says what it did: "lost N reordered N doubled N too_long N". Needs root.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { QUEUE_MAX = 4096, PACKET_MAX = 2048 };

struct packet {
    int64_t due_ns;
    size_t len;
    unsigned char data[PACKET_MAX];
};

struct direction {
    int from, to;
    struct packet queue[QUEUE_MAX]; /* a ring, in the order of due_ns */
    size_t first, count;
};

static struct {
    unsigned delay_ms, loss, reorder, twice, mtu;
} line = {.mtu = PACKET_MAX};
static unsigned long lost, reordered, doubled, too_long;
static uint64_t dice;

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* splitmix64 */
static bool chance(unsigned permille)
{
    uint64_t z = (dice += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (z ^ (z >> 31)) % 1000 < permille;
}

static struct packet *at(struct direction *way, size_t place)
{
    return &way->queue[(way->first + place) % QUEUE_MAX];
}

static void swap_last_two(struct direction *way)
{
    static struct packet other;
    struct packet *last = at(way, way->count - 1), *before = at(way, way->count - 2);
    int64_t later_ns = last->due_ns, sooner_ns = before->due_ns;
    other = *last;
    *last = *before;
    *before = other;
    last->due_ns = later_ns;
    before->due_ns = sooner_ns;
}

static void put_in(struct direction *way, const unsigned char *data, size_t len, int64_t due_ns)
{
    if (way->count == QUEUE_MAX)
        return; /* as a full router does */
    struct packet *packet = at(way, way->count++);
    packet->due_ns = due_ns;
    packet->len = len;
    memcpy(packet->data, data, len);
    if (way->count > 1 && chance(line.reorder)) {
        swap_last_two(way);
        reordered++;
    }
}

/* IPv4 with the flag that it may not be taken apart. */
static bool is_too_long(const unsigned char *data, size_t len)
{
    return len > line.mtu && data[0] >> 4 == 4 && (data[6] & 0x40);
}

static void take_in(struct direction *way)
{
    unsigned char data[PACKET_MAX];
    ssize_t len;
    while ((len = read(way->from, data, sizeof data)) > 0) {
        int64_t due_ns = now_ns() + line.delay_ms * INT64_C(1000000);
        if (is_too_long(data, (size_t)len)) {
            too_long++;
        } else if (chance(line.loss)) {
            lost++;
        } else {
            put_in(way, data, (size_t)len, due_ns);
            if (chance(line.twice)) {
                put_in(way, data, (size_t)len, due_ns);
                doubled++;
            }
        }
    }
}

/* Returns when the next one is due; INT64_MAX: none waits. */
static int64_t hand_out(struct direction *way)
{
    while (way->count > 0 && at(way, 0)->due_ns <= now_ns()) {
        (void)!write(way->to, at(way, 0)->data, at(way, 0)->len);
        way->first = (way->first + 1) % QUEUE_MAX;
        way->count--;
    }
    return way->count > 0 ? at(way, 0)->due_ns : INT64_MAX;
}

static bool read_line(void)
{
    char text[200];
    if (!fgets(text, sizeof text, stdin))
        return false;
    if (sscanf(text, "%u %u %u %u %u", &line.delay_ms, &line.loss, &line.reorder, &line.twice, &line.mtu) !=
        5)
        exit(2);
    puts("set");
    return fflush(stdout) == 0;
}

static void carry(struct direction *up, struct direction *down)
{
    struct pollfd files[] = {{.fd = up->from, .events = POLLIN},
                             {.fd = down->from, .events = POLLIN},
                             {.fd = STDIN_FILENO, .events = POLLIN}};
    for (;;) {
        int64_t due_ns = hand_out(up), other_ns = hand_out(down), now = now_ns();
        due_ns = due_ns < other_ns ? due_ns : other_ns;
        int64_t wait_ns = due_ns == INT64_MAX ? 1000000000 : due_ns > now ? due_ns - now : 0;
        struct timespec wait = {.tv_sec = wait_ns / 1000000000, .tv_nsec = wait_ns % 1000000000};
        if (ppoll(files, 3, &wait, NULL) < 0 && errno != EINTR)
            exit(1);
        if (files[2].revents && !read_line())
            return;
        take_in(up);
        take_in(down);
    }
}

static int open_device(const char *name)
{
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
    if (fd < 0 || ioctl(fd, TUNSETIFF, &request) != 0) {
        perror(name);
        exit(77);
    }
    return fd;
}

int main(int argc, char **argv)
{
    static struct direction up, down;
    if (argc != 4)
        return 2;
    dice = strtoull(argv[3], NULL, 10);
    prctl(PR_SET_TIMERSLACK, 1UL);
    up.to = down.from = open_device(argv[2]);
    if (unshare(CLONE_NEWNET) != 0) {
        perror("unshare");
        return 77;
    }
    up.from = down.to = open_device(argv[1]);
    puts("ready");
    fflush(stdout);
    carry(&up, &down);
    printf("lost %lu reordered %lu doubled %lu too_long %lu\n", lost, reordered, doubled, too_long);
    return 0;
}
