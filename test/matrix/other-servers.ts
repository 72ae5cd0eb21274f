import type { Host } from "../lab/host.ts";
import type { LabProcess } from "../lab/lab-process.ts";
import { isListening } from "../lab/proc-net.ts";
import { waitFor } from "../support/wait-for.ts";
import { ASYNCSSH_SERVER } from "./asyncssh-server.ts";
import type { Server } from "./cell.ts";

/** Starts a server that is not OpenSSH on port 22 of a host whose sshd is stopped, with the host key that the workstation knows. */
export async function startOtherServer(
  host: Host,
  program: Exclude<Server["program"], "openssh">,
): Promise<LabProcess> {
  if (program === "dropbear") {
    const [from, to] = ["/etc/ssh/ssh_host_ed25519_key", "/etc/ssh/dropbear"];
    await host.run(["dropbearconvert", "openssh", "dropbear", from, to]);
  }
  const server = host.spawn(
    program === "dropbear"
      ? ["dropbear", "-F", "-E", "-s", "-r", "/etc/ssh/dropbear", "-p", `${host.address}:22`]
      : ["python3", "-c", ASYNCSSH_SERVER, host.address],
  );
  await waitFor(() => isListening(host.initPid, 22), { what: program, detail: () => server.stderr });
  return server;
}
