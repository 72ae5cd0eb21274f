/*
 * delay-line PID_A NAME_A PID_B NAME_B ONE_WAY_MS: joins the network namespaces of two processes by a pair of TUN devices
 * and holds each packet for a while, as a long way does. Says `ready`, and runs until its input ends.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define MAX_PACKET 65536
#define QUEUE_BYTES (256u << 20)
#define BURST 64

struct packet {
  uint64_t due;
  uint32_t bytes;
};

/* Packets under way in one direction, oldest first, in a ring that no packet wraps around in. */
struct direction {
  int from, to;
  char *ring;
  size_t head, tail;
};

static void die(const char *what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  exit(1);
}

static uint64_t now_ns(void) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return (uint64_t)at.tv_sec * 1000000000ULL + (uint64_t)at.tv_nsec;
}

static int open_tun(const char *pid, const char *name) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%s/ns/net", pid);
  int namespace = open(path, O_RDONLY | O_CLOEXEC);
  if (namespace < 0 || setns(namespace, CLONE_NEWNET) != 0) die(path);
  close(namespace);
  int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) die("/dev/net/tun");
  struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
  strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  if (ioctl(fd, TUNSETIFF, &request) != 0) die("TUNSETIFF");
  return fd;
}

/* Where the next packet can be put, or NULL when too much is under way. */
static char *room(struct direction *it) {
  const size_t need = 2 * sizeof(struct packet) + MAX_PACKET;
  if (it->head == it->tail) it->head = it->tail = 0;
  if (it->tail >= it->head) {
    if (QUEUE_BYTES - it->tail > need) return it->ring + it->tail;
    if (it->head <= need) return NULL;
    /* A packet of no bytes says: go on at the beginning. */
    memset(it->ring + it->tail, 0, sizeof(struct packet));
    it->tail = 0;
  }
  return it->head - it->tail > need ? it->ring + it->tail : NULL;
}

static void take(struct direction *it, uint64_t delay) {
  for (int index = 0; index < BURST; index++) {
    char *place = room(it);
    if (place == NULL) return;
    ssize_t got = read(it->from, place + sizeof(struct packet), MAX_PACKET);
    if (got <= 0) return;
    struct packet header = {.due = now_ns() + delay, .bytes = (uint32_t)got};
    memcpy(place, &header, sizeof header);
    it->tail += (sizeof header + (size_t)got + 15) & ~(size_t)15;
  }
}

/* Gives out what is due and returns when the next packet is, or UINT64_MAX. */
static uint64_t give(struct direction *it) {
  while (it->head != it->tail) {
    struct packet header;
    memcpy(&header, it->ring + it->head, sizeof header);
    if (header.bytes == 0) {
      it->head = 0;
      continue;
    }
    if (header.due > now_ns()) return header.due;
    /* What a full device does not take is lost, as on any line. */
    (void)!write(it->to, it->ring + it->head + sizeof header, header.bytes);
    it->head += (sizeof header + header.bytes + 15) & ~(size_t)15;
  }
  return UINT64_MAX;
}

int main(int argc, char **argv) {
  if (argc != 6) return 64;
  int a = open_tun(argv[1], argv[2]), b = open_tun(argv[3], argv[4]);
  uint64_t delay = (uint64_t)(atof(argv[5]) * 1e6);
  struct direction there = {.from = a, .to = b, .ring = malloc(QUEUE_BYTES)};
  struct direction back = {.from = b, .to = a, .ring = malloc(QUEUE_BYTES)};
  puts("ready");
  fflush(stdout);
  for (;;) {
    uint64_t first = give(&there), second = give(&back), now = now_ns();
    uint64_t due = first < second ? first : second, wait = due > now ? due - now : 0;
    struct timespec pause = {.tv_sec = (time_t)(wait / 1000000000ULL), .tv_nsec = (long)(wait % 1000000000ULL)};
    struct pollfd fds[3] = {{.fd = a, .events = POLLIN}, {.fd = b, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
    if (ppoll(fds, 3, due == UINT64_MAX ? NULL : &pause, NULL) < 0 && errno != EINTR) die("ppoll");
    if (fds[2].revents != 0) {
      char byte;
      if (read(0, &byte, 1) <= 0) return 0;
    }
    if (fds[0].revents != 0) take(&there, delay);
    if (fds[1].revents != 0) take(&back, delay);
  }
}
