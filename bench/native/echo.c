#include "load.h"

#define MAX_TIMES (1 << 20)
#define MAX_BYTES 65536

static uint32_t times[MAX_TIMES];

static int by_size(const void *a, const void *b) {
  uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
  return (left > right) - (left < right);
}

static double percentile(size_t count, double share) {
  size_t index = (size_t)((double)count * share);
  return (double)times[index < count ? index : count - 1] / 1000.0;
}

int echo_times(const struct sockaddr_in *address, int bytes, int warm_up, int duration) {
  static char message[MAX_BYTES];
  if (bytes < 1 || bytes > MAX_BYTES) return 64;
  memset(message, MODE_ECHO, sizeof message);
  int fd = begin_connect(address, 0);
  uint64_t from = now_ns() + (uint64_t)warm_up * 1000000ULL, until = from + (uint64_t)duration * 1000000ULL;
  size_t count = 0;
  for (uint64_t sent_at = now_ns(); sent_at < until && count < MAX_TIMES; sent_at = now_ns()) {
    if (send(fd, message, (size_t)bytes, 0) != bytes) die("send");
    for (int got = 0; got < bytes;) {
      ssize_t more = recv(fd, message, (size_t)(bytes - got), 0);
      if (more <= 0) die("recv");
      got += (int)more;
    }
    if (sent_at >= from) times[count++] = (uint32_t)(now_ns() - sent_at);
  }
  if (count == 0) return 1;
  qsort(times, count, sizeof times[0], by_size);
  printf("{\"event\":\"done\",\"p50\":%.2f,\"p99\":%.2f,\"p999\":%.2f,\"count\":%zu}\n", percentile(count, 0.5),
         percentile(count, 0.99), percentile(count, 0.999), count);
  return 0;
}
