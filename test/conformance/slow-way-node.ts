import type { Host } from "../lab/host.ts";

const PATH = "/opt/lab/slow-way-node";

/** Options of farside for an agent on such a Node.js. */
export const slowWayOptions = ["--remote-node", PATH, "--log-level", "debug"] as const;
/** What the agent's log says of its hops then. */
export const SLOW_WAY = "relays over this hop take the slow way";

/**
 * A Node.js for the jump host on which the agent finds ssh2 to be another one than it knows, as after an upgrade: its relays
 * over hops go through ssh2's own channels. The agent is the built one, unchanged.
 */
export async function installSlowWayNode(jump: Host): Promise<void> {
  const node = (await jump.run(["sh", "-c", "command -v node"])).trim();
  // The data path asks for this property of ssh2's protocol, and nobody else does.
  const preload = `const { hasOwn } = Object;
Object.hasOwn = (object, key) => key !== "_kexinit" && hasOwn(object, key);
`;
  await jump.writeFile(`${PATH}.cjs`, preload);
  await jump.writeFile(PATH, `#!/bin/sh\nexec ${node} --require ${PATH}.cjs "$@"\n`);
  await jump.run(["chmod", "755", PATH]);
}
