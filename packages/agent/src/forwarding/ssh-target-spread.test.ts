import { CodedError, type HopDeclaration } from "@farside/protocol";
import {
  type KeyPair,
  makeKeyPair,
  type Sshd,
  startSshd,
  type TemporaryFolder,
  temporaryFolder,
} from "@farside/ssh/testing";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { type Delegate, delegateTo } from "../testing/delegate.ts";
import { connect, readAll, serveTcp } from "../testing/tcp.ts";
import { connectHopThrough } from "./connect-hop.ts";
import { RoutePool } from "./route-pool.ts";
import { sshTarget } from "./ssh-target.ts";
import type { Dialled, JoinedRelay, Target } from "./target.ts";

const never = new AbortController().signal;
let folder: TemporaryFolder;
let key: KeyPair;

beforeAll(async () => {
  folder = await temporaryFolder();
  key = await makeKeyPair(folder.file("identity"));
});
afterAll(() => folder[Symbol.asyncDispose]());

function session(delegate: Delegate, sshd: Sshd, port: number) {
  const events: string[] = [];
  const pool = new RoutePool({
    connect: connectHopThrough(delegate.peer),
    onConnected: ({ hopId }) => events.push(`connected ${hopId}`),
    onLost: ({ hopId }, { code }) => events.push(`lost ${hopId} ${code}`),
    onWarning: (message) => events.push(message),
  });
  const hop: HopDeclaration = {
    ...{ hopId: "1", user: sshd.user, host: "127.0.0.1", port: sshd.port },
    hostKeys: sshd.hostKeys.map(({ publicKey }) => publicKey.blob),
    publicKeys: [key.publicKey.blob],
  };
  const route = pool.lease([hop], 3);
  return { pool, events, route, target: sshTarget({ kind: "tcp", host: "127.0.0.1", port }, route) };
}

const dialMany = (target: Target, count: number) =>
  Promise.all(Array.from({ length: count }, () => target.dial(never)));

/** Joins `dialled` to a client that says `question`; the relay stays open until the client ends. */
async function joined(dialled: Dialled) {
  const front = await serveTcp((socket) => socket.pause());
  // It takes the socket with it that the relay goes on with.
  onTestFinished(() => front[Symbol.asyncDispose]());
  const client = await connect({ host: "127.0.0.1", port: front.port });
  const relay: JoinedRelay = dialled.join(await front.first);
  return { client, relay };
}

async function answer(dialled: Dialled, question: string): Promise<string> {
  const { client, relay } = await joined(dialled);
  client.end(question);
  const said = await readAll(client);
  await relay.closed;
  return said.toString();
}

const logins = async (sshd: Sshd) => (await sshd.log()).match(/Accepted publickey/g)?.length;

describe("many relays to a target behind a hop", () => {
  test("are spread over several connections, each with a signature, and all of them work", async () => {
    await using service = await serveTcp((socket) => socket.pipe(socket));
    await using sshd = await startSshd({ authorizedKeys: [key.line] });
    await using delegate = await delegateTo(key.path);
    const { pool, events, target } = session(delegate, sshd, service.port);
    await using _pool = pool;
    const dialled: Dialled[] = [];
    while (delegate.asked.length < 3 && dialled.length < 2000) dialled.push(...(await dialMany(target, 60)));
    await expect.poll(() => events.filter((event) => event === "connected 1").length).toBe(3);
    dialled.push(...(await dialMany(target, 100)));
    const answers = await Promise.all(dialled.map((one, n) => answer(one, `relay ${n}`)));
    expect(answers).toEqual(dialled.map((_, n) => `relay ${n}`));
    expect([delegate.asked.length, await logins(sshd)]).toEqual([3, 3]);
    expect(new Set(delegate.asked.map(({ data }) => Buffer.from(data).toString("hex"))).size).toBe(3);
    expect(events.filter((event) => event.startsWith("opened connection 2 of 3 to"))).toHaveLength(1);
  });

  test("lose only those whose further connection breaks; the next ones find another", async () => {
    await using service = await serveTcp((socket) => socket.pipe(socket));
    await using sshd = await startSshd({ authorizedKeys: [key.line] });
    await using delegate = await delegateTo(key.path);
    const { pool, events, route, target } = session(delegate, sshd, service.port);
    await using _pool = pool;
    const first = await joined(await target.dial(never));
    await dialMany(target, 200);
    await expect.poll(() => events.filter((event) => event === "connected 1").length).toBe(2);
    const onSecond = await joined(await target.dial(never));
    const place = await route.take(never);
    expect(place.isFurther).toBe(true);
    place.release();
    place.hop.abort(new CodedError("hop.lost", "cut for the test", { leg: "hop" }));
    // Nobody has heard of it yet, so this one is sent there.
    expect(await answer(await target.dial(never), "at once")).toBe("at once");
    await expect(readAll(onSecond.client)).rejects.toMatchObject({ code: "ECONNRESET" });
    expect(await onSecond.relay.closed).toMatchObject({ reason: "error", error: { code: "hop.lost" } });
    first.client.end("still there");
    expect((await readAll(first.client)).toString()).toBe("still there");
    expect(events.filter((event) => /^lost/.test(event))).toEqual([]);
    expect(events.at(-1)).toMatch(/a further connection to .* is gone: cut for the test/);
  });

  test("stay on the first connection where the workstation signs no further one", async () => {
    await using service = await serveTcp((socket) => socket.pipe(socket));
    await using sshd = await startSshd({ authorizedKeys: [key.line] });
    await using delegate = await delegateTo(key.path);
    const { pool, events, target } = session(delegate, sshd, service.port);
    await using _pool = pool;
    await target.connect(never);
    delegate.refusal = new CodedError("sign.refused", "the guard refused it (budget)", { leg: "hop" });
    const dialled = await dialMany(target, 300);
    await expect.poll(() => events.at(-1)).toMatch(/stay on 1 connection.*the guard refused it/);
    dialled.push(...(await dialMany(target, 100)));
    expect(await answer(dialled.at(-1) as Dialled, "works")).toBe("works");
    expect([delegate.asked.length, await logins(sshd)]).toEqual([2, 1]);
  });
});
