/* service PORT: the service behind every forward. One thread; what it does with a connection, the first byte says. */
#include "net.h"
#include <sys/timerfd.h>

#define SLOW_TICK_MS 50
#define SLOW_BYTES (64 * 1024 * SLOW_TICK_MS / 1000)
#define MAX_FD 65536

struct connection {
  char mode;
  uint64_t bytes;
  uint64_t reported_at;
};

static struct connection connections[MAX_FD];
static int epoll_fd, zeros_fd;

static void watch(int fd, uint32_t events, int operation) {
  struct epoll_event event = {.events = events, .data.fd = fd};
  if (epoll_ctl(epoll_fd, operation, fd, &event) != 0) die("epoll_ctl");
}

static void drop(int fd) {
  connections[fd].mode = 0;
  close(fd);
}

static void accept_all(int listener) {
  for (;;) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    if (fd < 0) {
      if (errno == EAGAIN || errno == ECONNABORTED || errno == EINTR) return;
      die("accept");
    }
    if (fd >= MAX_FD) die("too many connections");
    no_delay(fd);
    connections[fd] = (struct connection){0};
    watch(fd, EPOLLIN, EPOLL_CTL_ADD);
  }
}

static void count(int fd, ssize_t got) {
  struct connection *it = &connections[fd];
  it->bytes += (uint64_t)got;
  uint64_t now = now_ns();
  if (now - it->reported_at < REPORT_EVERY_NS) return;
  it->reported_at = now;
  /* A report that does not fit goes missing; the next one says more. */
  (void)!send(fd, &it->bytes, sizeof it->bytes, MSG_DONTWAIT);
}

static void echo(int fd) {
  char buffer[65536];
  ssize_t got = recv(fd, buffer, sizeof buffer, 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  /* Echoed messages are small and few at a time: they fit the socket's buffer. */
  if (got <= 0 || send(fd, buffer, (size_t)got, 0) != got) drop(fd);
}

static void start(int fd) {
  char mode;
  if (recv(fd, &mode, 1, MSG_PEEK) != 1) return drop(fd);
  connections[fd].mode = mode;
  if (mode == MODE_ECHO) return echo(fd);
  (void)!recv(fd, &mode, 1, 0);
  if (mode == MODE_DOWN) return watch(fd, EPOLLOUT, EPOLL_CTL_MOD);
  if (mode == MODE_SLOW) return watch(fd, 0, EPOLL_CTL_MOD);
  if (mode != MODE_UP) drop(fd);
}

static void serve(int fd) {
  switch (connections[fd].mode) {
    case 0:
      return start(fd);
    case MODE_ECHO:
      return echo(fd);
    case MODE_DOWN:
      if (send_zeros(fd, zeros_fd) < 0) drop(fd);
      return;
    case MODE_UP: {
      ssize_t got = discard(fd);
      if (got < 0) drop(fd);
      else if (got > 0) count(fd, got);
      return;
    }
    default: /* slow, and the other end has gone */
      drop(fd);
  }
}

static void tick(int timer) {
  uint64_t ticks;
  static char buffer[SLOW_BYTES];
  (void)!read(timer, &ticks, sizeof ticks);
  for (int fd = 0; fd < MAX_FD; fd++) {
    if (connections[fd].mode != MODE_SLOW) continue;
    ssize_t got = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
    if (got > 0) count(fd, got);
    else if (got == 0 || errno != EAGAIN) drop(fd);
  }
}

int main(int argc, char **argv) {
  if (argc != 2) return 64;
  raise_limits();
  zeros_fd = zeros();
  struct sockaddr_in address = address_of("0.0.0.0", argv[1]);
  int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0) die("bind");
  if (listen(listener, 4096) != 0) die("listen");
  int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
  struct itimerspec every = {.it_interval.tv_nsec = SLOW_TICK_MS * 1000000L, .it_value.tv_nsec = 1};
  timerfd_settime(timer, 0, &every, NULL);
  epoll_fd = epoll_create1(0);
  watch(listener, EPOLLIN, EPOLL_CTL_ADD);
  watch(timer, EPOLLIN, EPOLL_CTL_ADD);
  puts("ready");
  fflush(stdout);
  for (;;) {
    struct epoll_event events[256];
    int ready = epoll_wait(epoll_fd, events, 256, -1);
    for (int index = 0; index < ready; index++) {
      int fd = events[index].data.fd;
      if (fd == listener) accept_all(listener);
      else if (fd == timer) tick(timer);
      else serve(fd);
    }
  }
}
