import { type BindAddress, CodedError } from "@farside/protocol";
import { describe, expect, it } from "vitest";
import type { DeclaredHop } from "./destination-guard.ts";
import type { ForwardRequest } from "./forward-request.ts";
import { openForwards } from "./open-forwards.ts";
import type { OpenForward } from "./session-plan.ts";
import { codeOf } from "./testing/session-probe.ts";

const target = { kind: "tcp", host: "x", port: 1 } as const;
const hop: DeclaredHop = { hopId: "hop-1", user: "u", host: "sign", port: 22, hostKeys: [], publicKeys: [] };
const reported = Buffer.from("key");
const unknownKey = new CodedError("host-key.changed", "x", {
  data: { host: "sign", port: 22, hostKey: reported.toString("base64") },
});

/** Opens forwards against an agent whose answers are given: what is bound, or an error. */
async function run(
  binds: readonly BindAddress[],
  answers: (readonly BindAddress[] | Error)[],
  judge = async () => {},
  { connections, route = [hop] }: { connections?: number; route?: readonly DeclaredHop[] } = {},
) {
  const asked: ForwardRequest[] = [];
  const log: object[] = [];
  const opened: OpenForward[] = [];
  const judged: unknown[] = [];
  const outcome = openForwards({
    plan: {
      ...{ host: "u@jump", admission: { allowUsers: [], allowAnyUser: false }, maxRelays: 0 },
      connections,
      forwards: binds.map((bind) => ({ bind, target })),
      judgeHostKey: async (judgedHop, blob) => {
        judged.push([judgedHop.hopId, String(Buffer.from(blob))]);
        await judge();
      },
      folder: {
        making: async (entry: object) => void log.push(entry),
        undone: async (entry: object) => void log.push({ undone: entry }),
      } as never,
    },
    link: {
      openForward: async (forward) => {
        asked.push(forward);
        const answer = answers.shift() ?? new Error("no answer left");
        if (answer instanceof Error) throw answer;
        return answer;
      },
    },
    route,
    onOpen: (forward) => opened.push(forward),
    signal: new AbortController().signal,
  });
  return { code: await codeOf(outcome), asked, log, opened, judged };
}

const loopback = (port: number) => ({ kind: "loopback", port }) as const;
const at = (address: string, port: number) => ({ kind: "tcp", address, port }) as const;
const socket = (path: string) => ({ kind: "unix", path }) as const;

describe("opening forwards", () => {
  it("writes down what is made before it is made, and a free port once it is known", async () => {
    const { log, opened } = await run(
      [loopback(1), loopback(0), socket("/a")],
      [[at("::1", 1)], [at("127.0.0.1", 9)], [socket("/a")]],
    );
    expect(log).toEqual([
      { made: "listener", port: 1 },
      { made: "listener", port: 9 },
      { made: "socket", path: "/a" },
    ]);
    expect(opened.map(({ id }) => id)).toEqual(["1", "2", "3"]);
  });

  it("takes back what the agent says it did not make, and keeps what nobody knows about", async () => {
    const inUse = new CodedError("forward.port-in-use", "x");
    expect((await run([loopback(1)], [inUse])).log).toEqual([
      { made: "listener", port: 1 },
      { undone: { made: "listener", port: 1 } },
    ]);
    const gone = new CodedError("agent.gone", "x");
    expect((await run([loopback(1)], [gone])).log).toEqual([{ made: "listener", port: 1 }]);
  });

  it.each([
    ["another port", loopback(1), at("127.0.0.1", 2)],
    ["every address", loopback(1), at("0.0.0.0", 1)],
    ["no port", loopback(0), at("127.0.0.1", 0)],
    ["a port instead of a socket", socket("/a"), at("127.0.0.1", 1)],
    ["another socket", socket("/a"), socket("/b")],
    ["a socket instead of a port", at("1.2.3.4", 1), socket("/a")],
    ["an address that is none", at("1.2.3.4", 1), at("$(reboot)\u009b2J", 1)],
  ])("does not believe an agent that listens on %s", async (_, asked, bound) => {
    expect(await run([asked], [[bound]])).toMatchObject({ code: "protocol.bad-message", opened: [] });
  });

  it("declares a reported host key once it is judged, for this and later forwards", async () => {
    const bound = [at("127.0.0.1", 1)];
    const { asked, judged } = await run([loopback(1), loopback(1)], [unknownKey, bound, bound]);
    expect(judged).toEqual([["hop-1", "key"]]);
    expect(asked.map(({ route }) => route[0]?.hostKeys.map(String))).toEqual([[], ["key"], ["key"]]);
  });

  it("fails with the judgement, and judges only so often", async () => {
    const refusal = new CodedError("host-key.declined", "x");
    const refused = await run([loopback(1)], [unknownKey], () => Promise.reject(refusal));
    expect(refused).toMatchObject({ code: "host-key.declined", opened: [] });
    const keys = Array.from({ length: 20 }, (_, n) => {
      return new CodedError("host-key.changed", "x", {
        data: { host: "sign", port: 22, hostKey: Buffer.from(`key ${n}`).toString("base64") },
      });
    });
    const { code, judged } = await run([loopback(1)], keys);
    expect([code, judged.length]).toEqual(["host-key.changed", 9]);
  });

  it("does not judge a key for a hop that is not on the route, or that has it", async () => {
    const elsewhere = new CodedError("host-key.changed", "x", {
      data: { host: "other", port: 22, hostKey: "AAAA" },
    });
    const bare = new CodedError("host-key.changed", "x");
    for (const error of [elsewhere, bare]) {
      expect(await run([loopback(1)], [error])).toMatchObject({ code: "host-key.changed", judged: [] });
    }
    expect((await run([loopback(1)], [unknownKey, unknownKey])).judged.length).toBe(1);
  });

  it("spreads relays over four connections, over one where each signature asks somebody, or over as many as were said", async () => {
    const plain = { type: "ssh-ed25519", blob: Buffer.from("key"), comment: "" };
    const asking = { ...plain, asksForEachSignature: true };
    const touched = { ...plain, type: "sk-ssh-ed25519@openssh.com" };
    const withKeys = (...publicKeys: DeclaredHop["publicKeys"]) => [{ ...hop, publicKeys }];
    const connectionsOf = async (route: readonly DeclaredHop[], connections?: number) => {
      const options = { route, ...(connections !== undefined && { connections }) };
      const { asked } = await run([loopback(1)], [[at("127.0.0.1", 1)]], undefined, options);
      return asked[0]?.connections;
    };
    expect(await connectionsOf(withKeys(plain, asking))).toBe(4);
    expect(await connectionsOf(withKeys(asking, plain))).toBe(1);
    expect(await connectionsOf(withKeys(touched))).toBe(1);
    expect(await connectionsOf(withKeys(plain), 16)).toBe(16);
    expect(await connectionsOf(withKeys(asking), 2)).toBe(2);
  });
});
