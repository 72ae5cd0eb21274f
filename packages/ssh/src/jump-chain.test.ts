import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Hop } from "./hop.ts";
import { connectChain } from "./jump-chain.ts";
import { PinnedHostKeys } from "./pinned-host-keys.ts";
import { ProxyCommandStream } from "./proxy-command.ts";
import { failureOf } from "./testing/failure-of.ts";
import { hopOptionsFor } from "./testing/hop-options-for.ts";
import { type Sshd, startSshd } from "./testing/sshd.ts";

let first: Sshd;
let second: Sshd;

beforeAll(async () => {
  [first, second] = await Promise.all([startSshd(), startSshd()]);
});
afterAll(async () => {
  await Promise.all([first[Symbol.asyncDispose](), second[Symbol.asyncDispose]()]);
});

const bothHops = () => Promise.all([hopOptionsFor(first), hopOptionsFor(second)]);

describe("a chain of hops", () => {
  test("leads through each of them to the last", async () => {
    const connected: string[] = [];
    const chain = await connectChain(await bothHops(), { onConnected: (hop) => connected.push(hop.name) });
    const command = await chain.last.exec("echo $SSH_CONNECTION");
    expect((await text(command)).trim().split(" ").at(-1)).toBe(String(second.port));
    expect(connected).toEqual(chain.hops.map(({ name }) => name));
    await chain.close();
    await chain.close();
    expect(await Promise.all(chain.hops.map(({ closed }) => closed))).toEqual([undefined, undefined]);
  });

  test("loses the hops behind one that is lost", async () => {
    await using chain = await connectChain(await bothHops());
    const parent = await chain.hops[0]?.exec("kill -9 $(ps -o ppid= -p $$)");
    parent?.resume();
    expect(await chain.hops[0]?.closed).toMatchObject({ code: "hop.lost" });
    expect(await chain.last.closed).toMatchObject({ code: "hop.lost" });
  });

  test("notices at once that a hop at its end is lost, and keeps the others", async () => {
    // No keepalive is sent before the test's deadline.
    const options = await Promise.all(
      [first, second].map((sshd) => hopOptionsFor(sshd, { keepaliveIntervalMs: 600_000 })),
    );
    await using chain = await connectChain(options);
    const parent = await chain.last.exec("kill -9 $(ps -o ppid= -p $$)");
    parent.resume();
    expect(await chain.last.closed).toMatchObject({ code: "hop.lost" });
    const command = await chain.hops[0]?.exec("echo alive");
    expect(command && (await text(command))).toBe("alive\n");
  });

  test("checks each host key, and closes what was connected when one is wrong", async () => {
    const [one, two] = await bothHops();
    const connected: Hop[] = [];
    const wrong = new PinnedHostKeys(first.hostKeys.map(({ publicKey }) => publicKey.blob));
    const error = await failureOf(
      connectChain([one, { ...two, hostKeys: wrong }], { onConnected: (hop) => connected.push(hop) }),
    );
    expect(error).toMatchObject({ code: "host-key.changed" });
    expect(error.message).toContain(String(second.port));
    expect(connected).toHaveLength(1);
    expect(await connected[0]?.closed).toBeUndefined();
  });

  test("says which hop can't be reached, as a hop and not as a target", async () => {
    const [one, two] = await bothHops();
    const error = await failureOf(connectChain([one, { ...two, port: 1 }]));
    expect(error).toMatchObject({ code: "hop.unreachable", leg: "jump" });
    expect(error.message).toContain(`connecting to ${two.user}@127.0.0.1 port 1: dialling 127.0.0.1:1 from`);
  });

  test("says so where a hop forbids the way on", async () => {
    await using strict = await startSshd({ config: ["AllowTcpForwarding no"] });
    const error = await failureOf(connectChain([await hopOptionsFor(strict), await hopOptionsFor(second)]));
    expect(error).toMatchObject({ code: "target.forbidden", leg: "jump" });
  });
});

describe("a ProxyCommand", () => {
  const through = async (command: string) =>
    hopOptionsFor(first, { dial: async () => new ProxyCommandStream(command) });

  test("carries the connection and is gone when the hop is closed", async () => {
    const pidFile = first.folder.file("proxy-pid");
    // ssh -W is a proxy that every machine with these tests has.
    const proxy = `ssh -F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -i ${second.userKey.path} -p ${second.port} -W 127.0.0.1:${first.port} ${second.user}@127.0.0.1`;
    const hop = await Hop.connect(await through(`sh -c 'echo $$ > ${pidFile}; ${proxy}; true'`));
    const command = await hop.exec("echo through");
    expect(await text(command)).toBe("through\n");
    const pid = Number(await readFile(pidFile, "utf8"));
    expect(isRunning(pid)).toBe(true);
    await hop.close();
    await expect.poll(() => isRunning(pid)).toBe(false);
  });

  test("that fails is hop.unreachable with what it said", async () => {
    const error = await failureOf(through("sh -c 'echo no way >&2; exit 3'").then(Hop.connect));
    expect(error).toMatchObject({ code: "hop.unreachable", leg: "jump" });
    expect(error.message).toContain("it ended with 3 (no way)");
  });

  test("that ignores SIGTERM is killed", async () => {
    const pidFile = first.folder.file("stubborn-pid");
    const stream = new ProxyCommandStream(
      `sh -c 'trap "" TERM; echo $$ > ${pidFile}; echo ready; while :; do sleep 0.05; done'`,
    );
    await new Promise((resolve) => stream.once("data", resolve));
    const pid = Number(await readFile(pidFile, "utf8"));
    stream.destroy();
    await expect.poll(() => isRunning(pid)).toBe(false);
  });
});

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
