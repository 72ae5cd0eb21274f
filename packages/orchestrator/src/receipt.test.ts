import type { AddressInfo } from "node:net";
import { userInfo } from "node:os";
import { join } from "node:path";
import { CodedError } from "@farside/protocol";
import type { Hop } from "@farside/ssh";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { newNonce } from "./bootstrap.ts";
import type { Traces } from "./leftovers.ts";
import { makeReceipt } from "./receipt.ts";
import { HOLD, LocalHost, listen } from "./testing/local-host.ts";

let host: LocalHost;
beforeEach(async () => {
  host = await LocalHost.create();
});
afterEach(() => host[Symbol.asyncDispose]());

const nothing = { processes: [], listeners: [], files: [] };

describe("a receipt", () => {
  const receiptOf = (
    traces: Partial<Traces>,
    hop: Pick<Hop, "exec"> | "none" = host.hop(),
    graceMs?: number,
  ) =>
    makeReceipt({
      graceMs,
      session: "s",
      host: `${userInfo().username}@here`,
      hop: hop === "none" ? undefined : hop,
      traces: { nonce: newNonce(), ports: [], sockets: [], ...traces },
    });

  it("is clean where nothing is left, also after something that had to be killed", async () => {
    expect(await receiptOf({})).toMatchObject({ ...nothing, clean: true });
    const nonce = newNonce();
    await host.start(process.execPath, ["-e", `process.on("SIGTERM", () => {}); ${HOLD}`, nonce]);
    expect(await receiptOf({ nonce })).toMatchObject({ ...nothing, clean: true });
  });

  it("lets a process end in order though it has a file, and removes what that leaves", async () => {
    const nonce = newNonce();
    const socket = join(host.home, "a.sock");
    const script = `process.on("SIGTERM", () => setTimeout(() => process.exit(7), 500));
      require("net").createServer().listen(${JSON.stringify(socket)}, () => console.log(1));`;
    const child = await host.start(process.execPath, ["-e", script, nonce]);
    const receipt = await receiptOf({ nonce, sockets: [socket] }, host.hop(), 10_000);
    expect(receipt).toMatchObject({ ...nothing, clean: true });
    await expect.poll(() => child.exitCode ?? child.signalCode).toBe(7);
  });

  /** A host that has no room yet for one more command (MaxSessions 1). */
  const busyFor = (refusals: number): Pick<Hop, "exec"> => {
    let left = refusals;
    return {
      exec: (...args) => {
        left -= 1;
        if (left < 0) return host.hop().exec(...args);
        return Promise.reject(new CodedError("hop.channel-refused", "open failed", { leg: "jump" }));
      },
    };
  };

  it("names what stays, also on a host that was busy at first", async () => {
    const server = await listen("127.0.0.1");
    const { port } = server.address() as AddressInfo;
    expect(await receiptOf({ ports: [port] }, busyFor(1))).toMatchObject({
      listeners: [`127.0.0.1:${port}`],
      clean: false,
    });
    server.close();
  });

  it("is asked for again where the host has no room yet for one more command", async () => {
    expect(await receiptOf({}, busyFor(2))).toMatchObject({ ...nothing, clean: true });
  });

  it("claims to have seen nothing where the host never had room", async () => {
    const unknown = [expect.stringMatching(/^unknown: .* could not be looked at: open failed/)];
    const unseen = { processes: unknown, listeners: unknown, files: unknown, clean: false };
    expect(await receiptOf({}, busyFor(Number.POSITIVE_INFINITY))).toMatchObject(unseen);
  });

  it("is not clean, and says so, where nobody could look", async () => {
    const unknown = [expect.stringMatching(/^unknown: .* could not be looked at: /)];
    expect(await receiptOf({}, "none")).toMatchObject({
      processes: unknown,
      listeners: unknown,
      files: unknown,
      clean: false,
    });
    const broken = { exec: () => Promise.reject(new Error("x")) };
    expect(await receiptOf({}, broken)).toMatchObject({ processes: unknown, clean: false });
  });
});
