import type { Lab } from "../lab/lab.ts";
import { isListening } from "../lab/proc-net.ts";
import { waitFor } from "../support/wait-for.ts";

const FIRST_PORT = 2201;
export const SSH_CONFIG = "/root/.ssh/jump-hosts";

/** An sshd for each port, with a host key of its own. */
const START = `
mkdir -p /etc/ssh/many && cd /etc/ssh/many
for port in $(seq "$0" "$1"); do
  ssh-keygen -q -t ed25519 -N "" -C "" -f "$port"
  sed -e "s/^Port .*/Port $port/" -e "/^HostKey/d" -e "1i HostKey /etc/ssh/many/$port" /etc/ssh/sshd_config > "$port.config"
  /usr/sbin/sshd -f "/etc/ssh/many/$port.config" -E /var/log/lab-sshd.log || exit 1
  echo "$port $(cat "$port.pub")"
done
`;

/**
 * `count` jump hosts that share the lab's: an sshd each, with its own port and host key, in the workstation's known_hosts and in the ssh_config
 * SSH_CONFIG as the aliases that it resolves to.
 */
export async function startJumpHosts(
  { jump, workstation, knownHosts }: Lab,
  count: number,
): Promise<string[]> {
  const last = FIRST_PORT + count - 1;
  const started = await jump.run(["sh", "-c", START, String(FIRST_PORT), String(last)], {
    timeoutMs: 60_000,
  });
  // Each goes into the background before it listens.
  for (let port = FIRST_PORT; port <= last; port += 1)
    await waitFor(() => isListening(jump.initPid, port), { what: `the sshd on port ${port}` });
  const hosts = started
    .trim()
    .split("\n")
    .map((line) => ({ port: line.slice(0, 4), key: line.slice(5) }));
  const known = hosts.map(({ port, key }) => `[${jump.address}]:${port} ${key}\n`).join("");
  await workstation.run(["sh", "-c", 'cat >> "$0"', knownHosts], { input: known });
  const blocks = hosts.map(
    ({ port }) => `Host build-${port}\n  HostName ${jump.address}\n  Port ${port}\n  User ${jump.user}\n`,
  );
  await workstation.writeFile(SSH_CONFIG, blocks.join(""));
  // The program takes the user's own.
  await workstation.run(["sh", "-c", `sed -i "1i Include ${SSH_CONFIG}" /root/.ssh/config`]);
  return hosts.map(({ port }) => `build-${port}`);
}
