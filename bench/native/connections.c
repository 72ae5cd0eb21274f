#include "load.h"

#define MAX_IN_FLIGHT 1024

int begin_connect(const struct sockaddr_in *address, int flags) {
  int fd = socket(AF_INET, SOCK_STREAM | flags, 0);
  if (fd < 0) die("socket");
  no_delay(fd);
  if (connect(fd, (const struct sockaddr *)address, sizeof *address) != 0 && errno != EINPROGRESS) die("connect");
  return fd;
}

static int epoll_fd;

static void open_one(const struct sockaddr_in *address) {
  int fd = begin_connect(address, SOCK_NONBLOCK);
  struct epoll_event event = {.events = EPOLLOUT, .data.fd = fd};
  if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) die("epoll_ctl");
}

/* 1: the byte has come back, 0: still under way, -1: it failed. */
static int advance(const struct epoll_event *event) {
  int fd = event->data.fd;
  char byte = MODE_ECHO;
  if (event->events & (EPOLLERR | EPOLLHUP)) return -1;
  if (event->events & EPOLLIN) return recv(fd, &byte, 1, 0) == 1 ? 1 : -1;
  if (send(fd, &byte, 1, 0) != 1) return -1;
  struct epoll_event wait = {.events = EPOLLIN, .data.fd = fd};
  epoll_ctl(epoll_fd, EPOLL_CTL_MOD, fd, &wait);
  return 0;
}

int connect_rate(const struct sockaddr_in *address, int in_flight, int warm_up, int duration) {
  if (in_flight > MAX_IN_FLIGHT) return 64;
  epoll_fd = epoll_create1(0);
  uint64_t from = now_ns() + (uint64_t)warm_up * 1000000ULL, until = from + (uint64_t)duration * 1000000ULL;
  for (int index = 0; index < in_flight; index++) open_one(address);
  uint64_t opened = 0, failed = 0, now, began = 0;
  while ((now = now_ns()) < until) {
    if (began == 0 && now >= from) {
      began = now;
      opened = failed = 0;
    }
    struct epoll_event events[MAX_IN_FLIGHT];
    int ready = epoll_wait(epoll_fd, events, MAX_IN_FLIGHT, 100);
    for (int index = 0; index < ready; index++) {
      int result = advance(&events[index]);
      if (result == 0) continue;
      if (result > 0) opened++;
      else failed++;
      close(events[index].data.fd);
      open_one(address);
    }
  }
  printf("{\"event\":\"done\",\"perSecond\":%.1f,\"failed\":%llu}\n", (double)opened * 1e9 / (double)(now - began),
         (unsigned long long)failed);
  return 0;
}

int hold(const struct sockaddr_in *address, int count, int in_flight) {
  if (in_flight > MAX_IN_FLIGHT) return 64;
  epoll_fd = epoll_create1(0);
  int begun = 0, over = 0, failed = 0;
  uint64_t start = now_ns();
  while (begun < count && begun < in_flight) open_one(address), begun++;
  while (over < count) {
    struct epoll_event events[MAX_IN_FLIGHT];
    int ready = epoll_wait(epoll_fd, events, MAX_IN_FLIGHT, -1);
    for (int index = 0; index < ready; index++) {
      int result = advance(&events[index]);
      if (result == 0) continue;
      over++;
      if (result < 0) failed++;
      epoll_ctl(epoll_fd, EPOLL_CTL_DEL, events[index].data.fd, NULL);
      if (result < 0) close(events[index].data.fd);
      if (begun < count) open_one(address), begun++;
    }
  }
  printf("{\"event\":\"open\",\"seconds\":%.4f,\"failed\":%d}\n", (double)(now_ns() - start) / 1e9, failed);
  fflush(stdout);
  while (getchar() != EOF) continue;
  return 0;
}
