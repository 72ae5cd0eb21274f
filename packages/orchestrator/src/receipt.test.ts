import type { AddressInfo } from "node:net";
import { userInfo } from "node:os";
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
  const receiptOf = (traces: Partial<Traces>, hop: Pick<Hop, "exec"> | "none" = host.hop()) =>
    makeReceipt({
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

  it("names what stays", async () => {
    const server = await listen("127.0.0.1");
    const { port } = server.address() as AddressInfo;
    expect(await receiptOf({ ports: [port] })).toMatchObject({
      listeners: [`127.0.0.1:${port}`],
      clean: false,
    });
    server.close();
  });

  it("is asked for again where the host has no room yet for one more command (MaxSessions 1)", async () => {
    let refusals = 2;
    const busy: Pick<Hop, "exec"> = {
      exec: (...args) => {
        refusals -= 1;
        if (refusals < 0) return host.hop().exec(...args);
        return Promise.reject(new CodedError("hop.channel-refused", "open failed", { leg: "jump" }));
      },
    };
    expect(await receiptOf({}, busy)).toMatchObject({ ...nothing, clean: true });
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
