#include "load.h"

#define MAX_STREAMS 256

struct stream {
  int fd;
  /* The service's first and last count within the measurement, and when they came. */
  uint64_t first_count, last_count, first_at, last_at;
  size_t partial;
  char report[8];
};

static struct stream streams_of[MAX_STREAMS];

static void take_reports(struct stream *it, uint64_t from) {
  for (;;) {
    ssize_t got = recv(it->fd, it->report + it->partial, sizeof it->report - it->partial, MSG_DONTWAIT);
    if (got == 0) exit((fprintf(stderr, "a connection was closed\n"), 1));
    if (got < 0) {
      if (errno == EAGAIN || errno == EINTR) return;
      die("recv");
    }
    it->partial += (size_t)got;
    if (it->partial < sizeof it->report) continue;
    it->partial = 0;
    uint64_t count, now = now_ns();
    memcpy(&count, it->report, sizeof count);
    if (now < from) continue;
    if (it->first_at == 0) {
      it->first_at = now;
      it->first_count = count;
    }
    it->last_at = now;
    it->last_count = count;
  }
}

static double upload_rate(int streams) {
  double sum = 0;
  for (int index = 0; index < streams; index++) {
    struct stream *it = &streams_of[index];
    if (it->last_at == it->first_at) continue;
    sum += (double)(it->last_count - it->first_count) * 1e9 / (double)(it->last_at - it->first_at);
  }
  return sum;
}

int bulk(const struct sockaddr_in *address, char mode, int streams, int warm_up, int duration) {
  if (streams > MAX_STREAMS) return 64;
  int zeros_fd = zeros(), epoll_fd = epoll_create1(0), is_download = mode == MODE_DOWN;
  for (int index = 0; index < streams; index++) {
    struct stream *it = &streams_of[index];
    it->fd = begin_connect(address, 0);
    if (send(it->fd, &mode, 1, 0) != 1) die("send");
    fcntl(it->fd, F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = is_download ? EPOLLIN : EPOLLIN | EPOLLOUT, .data.ptr = it};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, it->fd, &event);
  }
  uint64_t from = now_ns() + (uint64_t)warm_up * 1000000ULL, until = from + (uint64_t)duration * 1000000ULL;
  uint64_t bytes = 0, began = 0, now;
  while ((now = now_ns()) < until) {
    if (began == 0 && now >= from) {
      began = now;
      bytes = 0;
      puts("{\"event\":\"measuring\"}");
      fflush(stdout);
    }
    struct epoll_event events[MAX_STREAMS];
    uint64_t next = began == 0 ? from : until;
    int ready = epoll_wait(epoll_fd, events, MAX_STREAMS, (int)((next - now) / 1000000ULL) + 1);
    for (int index = 0; index < ready; index++) {
      struct stream *it = events[index].data.ptr;
      if (is_download) {
        ssize_t got = discard(it->fd);
        if (got < 0) exit((fprintf(stderr, "a connection ended\n"), 1));
        bytes += (uint64_t)got;
        continue;
      }
      if (events[index].events & EPOLLIN) take_reports(it, from);
      if (events[index].events & EPOLLOUT && send_zeros(it->fd, zeros_fd) < 0) die("sendfile");
    }
  }
  double rate = is_download ? (double)bytes * 1e9 / (double)(now - began) : upload_rate(streams);
  printf("{\"event\":\"done\",\"bytesPerSecond\":%.0f}\n", rate);
  return 0;
}
