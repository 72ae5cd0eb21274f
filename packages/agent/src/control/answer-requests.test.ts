import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type AgentFacts, answerRequests, type TakeOverRequest } from "./answer-requests.ts";

const counters = { openRelays: 1, totalRelays: 7, refusedRelays: 2, bytesIn: 300, bytesOut: 2 ** 40 };
let facts: AgentFacts;
let server: http.Server;
let url: string;
const asked: TakeOverRequest[] = [];

beforeEach(async () => {
  facts = {
    ...{ name: "nightly", version: "0.1.0", uptimeMs: 1500, eventsDropped: 3 },
    forwards: [{ forwardId: "sign", ...counters, state: { phase: "open" } }],
  };
  asked.length = 0;
  const onTakeOver = async (request: TakeOverRequest) =>
    asked.push(request) > 0 && request.address !== "other";
  server = http.createServer(answerRequests({ facts: () => facts, onTakeOver })).listen(0, "127.0.0.1");
  await once(server, "listening");
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await once(server, "close");
});

const post = (body: string) => fetch(`${url}/take-over`, { method: "POST", body });

describe("plain requests to an agent", () => {
  test("GET /metrics has the state and counters of each forward, in Prometheus's text format, and only counts once", async () => {
    for (const _ of [1, 2]) {
      const response = await fetch(`${url}/metrics`);
      expect(response.headers.get("content-type")).toContain("text/plain; version=0.0.4");
      const text = await response.text();
      const lines = text
        .trimEnd()
        .split("\n")
        .filter((line) => line !== "" && !line.startsWith("#"));
      expect(lines).toEqual(
        expect.arrayContaining([
          'farside_agent_info{name="nightly",version="0.1.0"} 1',
          "farside_agent_uptime_seconds 1.5",
          "farside_agent_events_dropped_total 3",
          'farside_forward_state{forward="sign",state="open"} 1',
          'farside_forward_state{forward="sign",state="degraded"} 0',
          'farside_forward_open_relays{forward="sign"} 1',
          'farside_forward_relays_total{forward="sign"} 7',
          'farside_forward_refused_total{forward="sign"} 2',
          'farside_forward_bytes_total{forward="sign",direction="in"} 300',
          `farside_forward_bytes_total{forward="sign",direction="out"} ${2 ** 40}`,
        ]),
      );
      for (const line of lines) expect(line).toMatch(/^[a-z_]+(\{[^}]*\})? -?[\d.e+]+$/);
      expect(text).toContain("# TYPE farside_forward_bytes_total counter");
    }
  });

  test("a name with quotes and line breaks does not break the format", async () => {
    facts = { ...facts, forwards: [{ forwardId: 'a"\n} 1', ...counters, state: { phase: "open" } }] };
    const text = await (await fetch(`${url}/metrics`)).text();
    expect(text).toContain('farside_forward_open_relays{forward="a\\"\\n} 1"} 1');
  });

  test("GET /healthz is 200 where every forward is open, and 503 where one is not", async () => {
    const healthy = await fetch(`${url}/healthz`);
    expect([healthy.status, await healthy.json()]).toEqual([
      200,
      { status: "ok", forwards: [{ id: "sign", state: "open" }] },
    ]);
    facts = { ...facts, forwards: [{ forwardId: "sign", ...counters, state: { phase: "degraded" } }] };
    const degraded = await fetch(`${url}/healthz?x`);
    expect([degraded.status, await degraded.json()]).toMatchObject([503, { status: "degraded" }]);
  });

  test("POST /take-over lets go of an address, and says where it did not have it", async () => {
    expect((await post('{"by":"new","address":"127.0.0.1:4444"}')).status).toBe(200);
    expect((await post('{"by":"new","address":"other"}')).status).toBe(404);
    expect(asked).toHaveLength(2);
  });

  test("anything else is refused", async () => {
    expect((await post("{}")).status).toBe(400);
    expect((await post("no JSON")).status).toBe(400);
    expect((await post("x".repeat(10_000)).catch(() => ({ status: 500 }))).status).toBe(500);
    expect((await fetch(`${url}/take-over`)).status).toBe(404);
    expect((await fetch(`${url}/`)).status).toBe(404);
    expect(asked).toEqual([]);
  });
});
