/* What the load generator and the service share. Both end with a message at the first thing that goes wrong. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <arpa/inet.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* The first byte of a connection says what the service does with it. */
#define MODE_DOWN 'D'  /* sends zeros until the client goes */
#define MODE_UP 'U'    /* throws away what it gets and answers with its count of bytes (u64) every 20 ms */
#define MODE_SLOW 'S'  /* the same, but takes 64 KiB a second */
#define MODE_ECHO 'E'  /* sends back what it gets, this byte included */

#define CHUNK (1 << 20)
#define REPORT_EVERY_NS 20000000ULL

static inline void die(const char *what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  exit(1);
}

static inline uint64_t now_ns(void) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return (uint64_t)at.tv_sec * 1000000000ULL + (uint64_t)at.tv_nsec;
}

static inline void raise_limits(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
  signal(SIGPIPE, SIG_IGN);
}

/* Zeros that sendfile sends without copying them. */
static inline int zeros(void) {
  int fd = memfd_create("zeros", 0);
  if (fd < 0 || ftruncate(fd, CHUNK) != 0) die("memfd");
  void *map = mmap(NULL, CHUNK, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (map == MAP_FAILED) die("mmap");
  memset(map, 0, CHUNK);
  return fd;
}

/* Sends at most a chunk; the bytes that went, 0 when the socket is full, -1 when the connection is over. */
static inline ssize_t send_zeros(int socket, int file) {
  off_t offset = 0;
  ssize_t sent = sendfile(socket, file, &offset, CHUNK);
  if (sent >= 0) return sent;
  return errno == EAGAIN || errno == EINTR ? 0 : -1;
}

/* Takes at most a chunk off the socket without copying it; 0 when there is none, -1 when the connection is over. */
static inline ssize_t discard(int socket) {
  ssize_t got = recv(socket, NULL, CHUNK, MSG_TRUNC | MSG_DONTWAIT);
  if (got > 0) return got;
  return got < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

static inline void no_delay(int socket) {
  int on = 1;
  setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static inline struct sockaddr_in address_of(const char *host, const char *port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
  if (inet_pton(AF_INET, host, &address.sin_addr) != 1) die("not an IPv4 address");
  return address;
}
