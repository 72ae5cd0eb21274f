import { once } from "node:events";
import net from "node:net";
import { describe, expect, test } from "vitest";
import { connect, readAll } from "../testing/tcp.ts";
import type { AdmissionDecision } from "./admission.ts";
import { Entrance } from "./entrance.ts";

const admitted: AdmissionDecision = { isAdmitted: true, uid: 7 };
const refused: AdmissionDecision = { isAdmitted: false, uid: 8, reason: "other-user", hint: "no" };

/** An entrance behind a listener, and a client for it. */
async function entrance({ mayWait = (): boolean => true } = {}) {
  const events: string[] = [];
  let admissions = 0;
  const subject = new Entrance({
    forwardId: "1",
    mayWait,
    onAdmitted: () => {
      admissions += 1;
    },
    emit: ({ name }) => events.push(name),
  });
  const server = net.createServer({ pauseOnConnect: true, allowHalfOpen: true });
  server.on("connection", (socket) => subject.accept(socket, "peer"));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  return {
    subject,
    events,
    admissions: () => admissions,
    client: () => connect({ host: "127.0.0.1", port }),
    /** The code of the error that a client gets; a fast reset fails the connect itself. */
    cutOff: async () => {
      const [error] = await once(net.connect(port, "127.0.0.1"), "error", {
        signal: AbortSignal.timeout(20_000),
      }).catch((thrown) => [thrown]);
      return error.code;
    },
    [Symbol.asyncDispose]: async () => void server.close(),
  };
}

describe("the entrance of a forward", () => {
  test("keeps connections that come before it is open, and admits them then", async () => {
    await using host = await entrance();
    const client = await host.client();
    await expect.poll(() => host.subject.waiting).toBe(1);
    expect([host.subject.next(), host.admissions()]).toEqual([undefined, 0]);
    host.subject.open(async () => admitted);
    await expect.poll(host.admissions).toBe(1);
    expect(host.subject.next()).toMatchObject({ peer: "peer", uid: 7 });
    expect(host.subject.waiting).toBe(0);
    client.destroy();
  });

  test("resets whom it refuses and counts them", async () => {
    await using host = await entrance();
    host.subject.open(async () => refused);
    expect(await host.cutOff()).toBe("ECONNRESET");
    expect([host.subject.refused, host.events]).toEqual([1, ["relay.refused"]]);
  });

  test("tells of a flood of refusals now and then, and counts them all", async () => {
    const startedAt = performance.now();
    await using host = await entrance();
    host.subject.open(async () => refused);
    const clients = await Promise.all(
      Array.from({ length: 400 }, () => host.client().catch(() => undefined)),
    );
    await expect.poll(() => host.subject.refused).toBe(400);
    expect(host.events.length).toBeGreaterThanOrEqual(100);
    // A burst, and then so many a second.
    expect(host.events.length).toBeLessThanOrEqual(100 + ((performance.now() - startedAt) / 1000) * 20);
    for (const client of clients) client?.destroy();
  });

  test("resets a client whose decision fails, and one that comes after the close", async () => {
    await using host = await entrance();
    const early = host.cutOff();
    await expect.poll(() => host.subject.waiting).toBe(1);
    host.subject.open(() => Promise.reject(new Error("a bug")));
    expect(await early).toBe("ECONNRESET");
    expect(await host.cutOff()).toBe("ECONNRESET");
    host.subject.close();
    expect(await host.cutOff()).toBe("ECONNRESET");
    expect([host.subject.waiting, host.subject.refused]).toEqual([0, 0]);
  });

  test("resets who waits at the close", async () => {
    await using host = await entrance();
    host.subject.open(async () => admitted);
    const waiting = readAll(await host.client());
    const cut = expect(waiting).rejects.toMatchObject({ code: "ECONNRESET" });
    await expect.poll(host.admissions).toBe(1);
    host.subject.close();
    await cut;
    expect(host.subject.waiting).toBe(0);
  });

  test("drops a waiting client that has reset its connection", async () => {
    await using host = await entrance();
    host.subject.open(async () => admitted);
    const gone = await host.client();
    await expect.poll(host.admissions).toBe(1);
    gone.resetAndDestroy();
    await once(gone, "close");
    const stays = await host.client();
    await expect.poll(host.admissions).toBe(2);
    const next = host.subject.next();
    expect(next?.socket.remotePort).toBe((stays.address() as net.AddressInfo).port);
    expect(host.subject.next()).toBeUndefined();
    stays.destroy();
  });

  test("resets at once where nobody may wait any more, with a warning", async () => {
    await using host = await entrance({ mayWait: () => false });
    expect(await host.cutOff()).toBe("ECONNRESET");
    expect(host.events).toEqual(["warning"]);
  });
});
