import type { Host } from "../lab/host.ts";
import type { LabProcess } from "../lab/lab-process.ts";
import { installProgram } from "../lab/program.ts";
import type { StreamReport } from "../lab/programs/byte-stream.ts";
import { waitFor } from "./wait-for.ts";

/** A service that sends `bytes` to each connection while it reads; its reports come as connections end. */
export async function startByteService(
  host: Host,
  where: string,
  bytes: number,
  user: string = host.user,
): Promise<LabProcess> {
  const program = await installProgram(host, "byte-service");
  const service = host.spawn([...program, where, String(bytes)], { user });
  await waitFor(() => service.stdout.includes("listening"), {
    what: `the byte service on ${host.name}`,
    detail: () => service.stderr,
  });
  return service;
}

/** Runs `streams` connections at once from `host`, each sending `bytes`, to their end. */
export async function exchangeBytes(
  host: Host,
  where: string,
  options: { bytes: number; streams: number; user?: string; timeoutMs?: number; bytesPerSecond?: number },
): Promise<StreamReport[]> {
  const { bytes, streams, user = host.user, timeoutMs = 120_000, bytesPerSecond } = options;
  const program = await installProgram(host, "byte-client");
  const rate = bytesPerSecond === undefined ? [] : [String(bytesPerSecond)];
  const argv = [...program, where, String(bytes), String(streams), ...rate];
  const { code, stdout, stderr } = await host.exec(argv, { user, timeoutMs });
  if (code !== 0) throw new Error(`byte-client: exit ${code}\n${stdout}${stderr}`);
  return reportsOf(stdout);
}

export function reportsOf(stdout: string): StreamReport[] {
  return stdout
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as StreamReport);
}

/** What one end sent, as the other end received it: sorted pairs that are equal at both ends where nothing was changed. */
export const sentBy = (reports: readonly StreamReport[]): string[] =>
  reports.map((report) => `${report.sent} ${report.sentSha256}`).sort();
export const receivedBy = (reports: readonly StreamReport[]): string[] =>
  reports.map((report) => `${report.received} ${report.receivedSha256}`).sort();

/** A connection from `host` that stays open and idle until it is ended; resolves once the far side has answered a byte. */
export async function holdConnection(
  host: Host,
  port: number,
  user: string = host.user,
): Promise<LabProcess> {
  const script = `const s = net.connect(${port}, "127.0.0.1"); s.write("x");
    s.on("data", () => process.stdout.write("data\\n")); s.on("error", (e) => process.stdout.write(e.code + "\\n"));
    s.on("close", () => process.exit(0)); process.stdin.resume().on("end", () => s.end());`;
  const client = host.spawn(["node", "-e", script], { user });
  const what = `an answer through port ${port} of ${host.name}`;
  const isAnswered = () => client.stdout.includes("data");
  const detail = () => client.stdout + client.stderr;
  await waitFor(() => isAnswered() || client.hasEnded, { what, detail });
  // What it said last may come after the word of its end.
  if (client.hasEnded) await client.exit;
  if (!isAnswered()) throw new Error(`${what} did not come: it ended\n${detail()}`);
  return client;
}
