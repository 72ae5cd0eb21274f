import { getEventListeners } from "node:events";
import { describe, expect, test } from "vitest";
import { connect, readAll, serveOnOne, serveTcp } from "../testing/tcp.ts";
import type { Dialled, Target } from "./target.ts";
import { tcpTarget } from "./tcp-target.ts";
import { unixTarget } from "./unix-target.ts";

const never = new AbortController().signal;

/** What a client gets from the connection that `target` makes. */
async function answerOf(target: Target): Promise<string> {
  await using front = await serveTcp();
  const client = await connect({ host: "127.0.0.1", port: front.port });
  const accepted = await front.first;
  accepted.pause();
  const relay = (await target.dial(never)).join(accepted);
  client.end();
  const answer = await readAll(client);
  await relay.closed;
  return answer.toString();
}

describe("a TCP target", () => {
  test.each(["127.0.0.1", "::1"] as const)(
    "named localhost is reached where it listens on %s only",
    async (host) => {
      await using service = await serveOnOne(host, (socket) => socket.end("here"));
      expect(await answerOf(tcpTarget("localhost", service.port))).toBe("here");
    },
  );

  test("is reached at the address of a name that answers, past those that refuse or are silent", async () => {
    await using service = await serveTcp((socket) => socket.end("here"));
    // 192.0.2.0/24 is for documentation: nobody answers there.
    const resolve = async () => ["127.9.9.9", "192.0.2.1", "127.0.0.1"];
    expect(await answerOf(tcpTarget("service", service.port, { resolve }))).toBe("here");
  });

  test("that nobody serves is unreachable, and the error says which leg and why", async () => {
    const { port } = await (async () => {
      await using service = await serveTcp();
      return service;
    })();
    await expect(tcpTarget("localhost", port).dial(never)).rejects.toMatchObject({
      code: "target.unreachable",
      leg: "target",
      message: `connecting to localhost:${port} from the jump host: the connection was refused`,
    });
  });

  test("whose name is not known is unreachable", async () => {
    await expect(tcpTarget("no-such-host.invalid", 1).dial(never)).rejects.toMatchObject({
      code: "target.unreachable",
      leg: "target",
    });
  });

  test("that is silent is given up at the deadline", async () => {
    const resolve = async () => ["192.0.2.1"];
    const target = tcpTarget("silent", 9, { resolve, connectTimeoutMs: 50 });
    await expect(target.dial(never)).rejects.toMatchObject({ code: "target.unreachable", leg: "target" });
  });

  test("asks the name service once for many dials at a time, and again later", async () => {
    await using service = await serveTcp();
    let asked = 0;
    const resolve = async () => {
      asked += 1;
      await new Promise(setImmediate);
      return ["127.0.0.1"];
    };
    const target = tcpTarget("service", service.port, { resolve });
    const destroy = (dialled: Dialled) => dialled.destroy();
    const dialled = await Promise.all(Array.from({ length: 20 }, () => target.dial(never)));
    expect(asked).toBe(1);
    destroy(await target.dial(never));
    expect(asked).toBe(2);
    dialled.forEach(destroy);
  });

  test("that is reached leaves no attempt at its other addresses and no listener behind", async () => {
    await using service = await serveTcp();
    const { signal } = new AbortController();
    const open = () => process.getActiveResourcesInfo().filter((name) => name.startsWith("TCP")).length;
    // The listener alone: what the tests before have closed is gone.
    await expect.poll(open).toBe(1);
    const resolve = async () => ["192.0.2.1", "127.0.0.1"];
    const dialled = await tcpTarget("service", service.port, { resolve }).dial(signal);
    expect(getEventListeners(signal, "abort")).toEqual([]);
    dialled.destroy();
    (await service.first).destroy();
    await expect.poll(open).toBe(1);
  });

  test("is not dialled any more once the signal aborts", async () => {
    const controller = new AbortController();
    const dialling = tcpTarget("silent", 9, { resolve: async () => ["192.0.2.1"] }).dial(controller.signal);
    const reason = new Error("nobody waits");
    controller.abort(reason);
    await expect(dialling).rejects.toBe(reason);
    await expect(tcpTarget("127.0.0.1", 9).dial(controller.signal)).rejects.toBe(reason);
  });
});

describe("a unix target", () => {
  test("that is not there is unreachable", async () => {
    await expect(unixTarget("/no/such.sock").dial(never)).rejects.toMatchObject({
      code: "target.unreachable",
      leg: "target",
      message: "connecting to /no/such.sock from the jump host: there is no such socket",
    });
  });

  test("is reached", async () => {
    const path = `/tmp/farside-agent-target-${process.pid}.sock`;
    await using _service = await serveTcp((socket) => socket.end("by path"), { path });
    expect(await answerOf(unixTarget(path))).toBe("by path");
  });
});
