/** A session in a process of its own: options as JSON, and the bundle's folder. It says when it is ready, and ends on SIGTERM. */
import { agentBundle } from "@farside/agent/bundle";
import { deployAndForward } from "../deploy-and-forward.ts";

const [, , options = "{}", folder] = process.argv;
const session = await deployAndForward({ ...JSON.parse(options), bundle: agentBundle(folder) });
process.on("SIGTERM", () => void session.close());
console.log(JSON.stringify({ name: session.name }));
await session.closed;
