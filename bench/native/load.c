/* load HOST PORT COMMAND …: one measurement as a client sees it, told as JSON lines on stdout. See load.h. */
#include "load.h"

int main(int argc, char **argv) {
  if (argc < 4) return 64;
  raise_limits();
  struct sockaddr_in address = address_of(argv[1], argv[2]);
  const char *command = argv[3];
  int numbers[3] = {0};
  for (int index = 4; index < argc && index < 7; index++) numbers[index - 4] = atoi(argv[index]);
  if (strcmp(command, "down") == 0) return bulk(&address, MODE_DOWN, numbers[0], numbers[1], numbers[2]);
  if (strcmp(command, "up") == 0) return bulk(&address, MODE_UP, numbers[0], numbers[1], numbers[2]);
  if (strcmp(command, "slow") == 0) return bulk(&address, MODE_SLOW, numbers[0], numbers[1], numbers[2]);
  if (strcmp(command, "connect") == 0) return connect_rate(&address, numbers[0], numbers[1], numbers[2]);
  if (strcmp(command, "echo") == 0) return echo_times(&address, numbers[0], numbers[1], numbers[2]);
  if (strcmp(command, "hold") == 0) return hold(&address, numbers[0], numbers[1]);
  return 64;
}
