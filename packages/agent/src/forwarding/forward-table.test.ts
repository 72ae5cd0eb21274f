import { once } from "node:events";
import net from "node:net";
import { CodedError, MAX_FORWARDS } from "@farside/protocol";
import { describe, expect, test } from "vitest";
import { clientOf, forwardHost, forwardTo, openForward } from "../testing/forward-host.ts";
import { readAll, serveTcp } from "../testing/tcp.ts";

describe("a forward", () => {
  test("keeps its relays open for the grace and cuts the rest", async () => {
    await using service = await serveTcp((socket) => socket.pipe(socket));
    await using host = forwardHost();
    const port = await openForward(host.forwards, service);
    const [soon, stays] = await Promise.all([clientOf(port), clientOf(port)]);
    soon.write("a");
    stays.write("b");
    await Promise.all([once(soon, "data"), once(stays, "data")]);
    const closing = host.forwards.closeAll(60_000);
    const refused = net.connect(port, "127.0.0.1");
    expect((await once(refused, "error"))[0]).toMatchObject({ code: "ECONNREFUSED" });
    soon.end();
    await readAll(soon);
    stays.write("still there");
    expect(String((await once(stays, "data"))[0])).toBe("still there");
    const cut = host.forwards.closeAll(0);
    await expect(readAll(stays)).rejects.toMatchObject({ code: "ECONNRESET" });
    expect(await cut).toBe(1);
    expect(await closing).toBe(0);
    expect(host.named("relay.close").map(({ reason }) => reason)).toEqual(["end", "closed"]);
  });

  test("that is closed while its hops connect opens nothing and lets go of its port", async () => {
    await using service = await serveTcp();
    await using host = forwardHost();
    await using free = await serveTcp();
    const { port } = free;
    await free[Symbol.asyncDispose]();
    const key = Buffer.from("key");
    const hop = { hopId: "1", user: "u", host: "h", port: 22, hostKeys: [key], publicKeys: [key] };
    const opening = openForward(host.forwards, service, { route: [hop], bind: { kind: "loopback", port } });
    const failed = expect(opening).rejects.toMatchObject({ code: "canceled" });
    const early = await expect
      .poll(() => clientOf(port).catch(() => undefined))
      .toBeDefined()
      .then(() => clientOf(port));
    const cutOff = expect(readAll(early)).rejects.toMatchObject({ code: "ECONNRESET" });
    await host.forwards.close("1", 0);
    await Promise.all([failed, cutOff]);
    const again = await serveTcp(() => {}, { host: "127.0.0.1", port });
    await again[Symbol.asyncDispose]();
  });

  test("that the orchestrator cancels while its hops connect is gone", async () => {
    await using service = await serveTcp();
    await using host = forwardHost();
    const key = Buffer.from("key");
    const hop = { hopId: "1", user: "u", host: "h", port: 22, hostKeys: [key], publicKeys: [key] };
    const controller = new AbortController();
    const opening = host.forwards.open(forwardTo(service, { route: [hop] }), controller.signal);
    const reason = new CodedError("canceled", "the asker canceled the request");
    await expect.poll(() => host.forwards.counters.length).toBe(1);
    controller.abort(reason);
    await expect(opening).rejects.toBe(reason);
    expect(host.forwards.counters).toEqual([]);
  });

  test("that does not exist can't be closed, and one that exists not opened again", async () => {
    await using service = await serveTcp();
    await using host = forwardHost();
    await expect(host.forwards.close("7", 0)).rejects.toMatchObject({ code: "forward.not-found" });
    await openForward(host.forwards, service);
    await expect(openForward(host.forwards, service)).rejects.toThrow("exists already");
    await host.forwards.close("1", 0);
    await openForward(host.forwards, service);
  });

  test("is refused above the limit of a session, and once the agent ends", async () => {
    await using service = await serveTcp();
    await using host = forwardHost();
    for (let id = 0; id < MAX_FORWARDS; id += 1)
      await openForward(host.forwards, service, { forwardId: `${id}` });
    const more = openForward(host.forwards, service, { forwardId: "more" });
    await expect(more).rejects.toMatchObject({ code: "config.invalid" });
    await host.forwards.closeAll(0);
    const late = openForward(host.forwards, service, { forwardId: "late" });
    await expect(late).rejects.toMatchObject({ code: "canceled" });
  });
});
