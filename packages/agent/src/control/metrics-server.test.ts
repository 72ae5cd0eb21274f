import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openTcpListener } from "../forwarding/tcp-listener.ts";
import type { LogFields } from "../log.ts";
import { clientProgram, hasOtherUsers, NOBODY, runAs } from "../testing/other-user.ts";
import { connect, readAll, serveTcp } from "../testing/tcp.ts";
import { MetricsServer } from "./metrics-server.ts";

/** Longer than any answer takes, also on a busy machine. */
const LONG_MS = 60_000;
const counters = { openRelays: 1, totalRelays: 7, refusedRelays: 2, bytesIn: 300, bytesOut: 5 };
const facts = {
  ...{ name: "nightly", version: "0.1.0", uptimeMs: 1500, eventsDropped: 3 },
  forwards: [{ forwardId: 'a"\n} 1', ...counters, state: { phase: "open" as const } }],
};
let warnings: (LogFields & { message: string })[];
let server: MetricsServer;
let port: number;

const open = (wanted = 0, connectionTimeoutMs = LONG_MS) =>
  MetricsServer.open({
    openListener: (options) => openTcpListener({ kind: "loopback", port: wanted }, options),
    facts: () => facts,
    uid: process.getuid?.() ?? 0,
    log: { warn: (message, fields) => warnings.push({ ...fields, message }) },
    connectionTimeoutMs,
  });
const portOf = ({ bound: [first] }: MetricsServer) => (first?.kind === "tcp" ? first.port : 0);
beforeEach(async () => {
  warnings = [];
  server = await open();
  port = portOf(server);
});
afterEach(() => server.close());

/** What the server answers to these bytes, up to its end. */
async function answerTo(bytes: string, place = { host: "127.0.0.1", port }): Promise<string> {
  const socket = await connect(place);
  socket.write(bytes);
  const answer = (await readAll(socket)).toString();
  socket.destroy();
  return answer;
}
const get = (page: string) => `GET ${page} HTTP/1.1\r\nHost: localhost\r\n\r\n`;

describe("the port for metrics", () => {
  test.each(["127.0.0.1", "::1"])("answers one request a connection on %s, of a GET alone", async (host) => {
    const metrics = await answerTo(get("/metrics").repeat(3), { host, port });
    expect(metrics).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(metrics).toMatch(/connection: close/i);
    expect(metrics).toContain('farside_forward_open_relays{forward="a\\"\\n} 1"} 1');
    expect(metrics.match(/HTTP\/1\.1 200/g)).toHaveLength(1);
    expect(await answerTo(get("/healthz"))).toContain('{"status":"ok"');
    const post = 'POST /take-over HTTP/1.1\r\nHost: a\r\nContent-Length: 31\r\n\r\n{"by":"x","address":"y"}';
    expect(await answerTo(post)).toMatch(/^HTTP\/1\.1 404/);
  });

  test.runIf(hasOtherUsers)(
    "is reset for another user before a byte is read, and the log says so",
    async () => {
      await using client = runAs(NOBODY, clientProgram(port));
      expect(await client.line()).toBe("open");
      expect(await client.line()).toBe("ECONNRESET");
      expect(warnings).toMatchObject([
        { message: "a connection to the metrics port was refused", uid: NOBODY, reason: "other-user" },
      ]);
    },
  );

  test("has no time for one that asks slowly, or not at all, or too much", async () => {
    await using hurried = await open(0, 300);
    const place = { host: "127.0.0.1", port: portOf(hurried) };
    const slowly = async () => {
      const slow = await connect(place);
      slow.write("GET /metrics HTTP/1.1\r\nX: ");
      const dripping = setInterval(() => slow.write("y"), 30);
      return readAll(slow).finally(() => clearInterval(dripping));
    };
    // The second where it was just writing.
    await expect(slowly()).rejects.toMatchObject({ code: expect.stringMatching(/^(?:ECONNRESET|EPIPE)$/) });
    await expect(connect(place).then(readAll)).rejects.toMatchObject({ code: "ECONNRESET" });
    const answer = () => answerTo(get("/healthz"), place).catch(() => "");
    await expect.poll(answer).toMatch(/^HTTP\/1\.1 200/);
    expect(await answerTo(`GET / HTTP/1.1\r\nX: ${"x".repeat(9_000)}\r\n\r\n`)).toMatch(/^HTTP\/1\.1 431/);
    expect(await answerTo(get("/healthz"))).toMatch(/^HTTP\/1\.1 200/);
  });

  test("takes no more connections at a time than sixteen", async () => {
    const place = { host: "127.0.0.1", port };
    const waiting = await Promise.all(Array.from({ length: 16 }, () => connect(place)));
    await expect(connect(place).then(readAll)).rejects.toMatchObject({ code: "ECONNRESET" });
    for (const socket of waiting) socket.destroy();
    const answer = () => answerTo(get("/healthz"), place).catch(() => "");
    await expect.poll(answer).toMatch(/^HTTP\/1\.1 200/);
  });

  test("that somebody else holds is an error that names the holder", async () => {
    await using taken = await serveTcp();
    await expect(open(taken.port)).rejects.toMatchObject({
      code: "forward.port-in-use",
      leg: "bind",
      message: expect.stringMatching(/^opening the port for metrics: cannot listen on .* holds the port$/),
      data: { port: taken.port, holder: expect.stringContaining(String(process.pid)) },
    });
  });

  test("is free again once it is closed, and whoever is connected is cut", async () => {
    const idle = await connect({ host: "127.0.0.1", port });
    const cut = expect(readAll(idle)).rejects.toMatchObject({ code: "ECONNRESET" });
    await answerTo(get("/healthz"));
    await server.close();
    await cut;
    const again = await open(port);
    expect(again.isAt(`127.0.0.1:${port}`)).toBe(true);
    await again.close();
  });
});
