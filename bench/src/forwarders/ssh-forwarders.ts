/** What forwards through the target's sshd: the peers of a forward with `--via`. */
import { TARGET } from "@farside/test/lab/lab";
import { PROGRAMS, SERVICE_PORT } from "../lab/bench-lab.ts";
import { type Forwarder, whenListening } from "./forwarder.ts";

function sshWith(name: string, options: readonly string[]): Forwarder {
  return {
    name,
    command: ["ssh -N", ...options, "-L 4444:localhost:5000 signer@target"].join(" "),
    start: (bench) => {
      const port = bench.nextPort();
      const argv = [
        ...["ssh", "-N", ...options, "-i", bench.jumpKey, "-o", "IdentitiesOnly=yes"],
        ...["-L", `127.0.0.1:${port}:localhost:${SERVICE_PORT}`, `signer@${TARGET}`],
      ];
      return whenListening(bench, port, bench.jump.spawn(argv, { user: "builder" }));
    },
  };
}

export const ssh = sshWith("ssh -L", []);
export const sshGcm = sshWith("ssh -L, aes128-gcm", ["-c", "aes128-gcm@openssh.com"]);

const ASYNCSSH = `
import asyncio, sys, asyncssh
port, key, target, service = int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
async def main():
    async with asyncssh.connect(target, username="signer", client_keys=[key], agent_path=None,
            encryption_algs=["aes128-gcm@openssh.com"], compression_algs=["none"]) as connection:
        listener = await connection.forward_local_port("127.0.0.1", port, "localhost", service)
        await listener.wait_closed()
asyncio.run(main())
`;

/** The same from Python; it compresses unless it is told not to. */
export const asyncSsh: Forwarder = {
  name: "AsyncSSH, aes128-gcm",
  command: "asyncssh.connect(…, encryption_algs=[aes128-gcm], compression_algs=[none]).forward_local_port(…)",
  start: async (bench) => {
    const port = bench.nextPort();
    const path = `${PROGRAMS}/asyncssh-forward.py`;
    await bench.jump.writeFile(path, ASYNCSSH);
    const argv = ["/usr/bin/python3", path, String(port), bench.jumpKey, TARGET, String(SERVICE_PORT)];
    return whenListening(bench, port, bench.jump.spawn(argv, { user: "builder" }));
  },
};
