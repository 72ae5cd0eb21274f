/** What the orchestrator's bootstrap does for an agent: a NETLINK_SOCK_DIAG socket whose number is in the environment. */
const OPEN_SOCKET =
  "socket(S,16,3|2048,4)&&bind(S,pack(q(SSLL),16,0,0,0))&&fcntl(S,2,0)&&($ENV{FARSIDE_SOCK_DIAG}=fileno(S));exec(@ARGV)";

/** `command` with such a socket. */
export function withSockDiag(command: readonly string[]): readonly string[] {
  return ["/usr/bin/perl", "-f", "-e", OPEN_SOCKET, ...command];
}
