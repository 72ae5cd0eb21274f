import type { Host } from "../lab/host.ts";
import type { LabProcess } from "../lab/lab-process.ts";
import { waitFor } from "./wait-for.ts";

/** Answers each byte on `port` of the host's `address` with a byte, and stays open until the client ends. */
export async function startEcho(host: Host, port: number, address = "127.0.0.1"): Promise<LabProcess> {
  const script = `net.createServer((s) => s.on("error", () => {}).pipe(s)).listen(${port}, "${address}", () => console.log("listening"))`;
  const echo = host.spawn(["node", "-e", script], { user: host.user });
  await waitFor(() => echo.stdout.includes("listening"), { what: "the echo service" });
  return echo;
}
