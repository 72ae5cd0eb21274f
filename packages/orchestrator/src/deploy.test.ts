import { once } from "node:events";
import { chmod, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { afterAll, describe, expect, it } from "vitest";
import { deployAndForward, startSession } from "./deploy-and-forward.ts";
import { buildAgent } from "./testing/build-agent.ts";
import { startBuiltHost } from "./testing/built-host.ts";
import type { JumpHost } from "./testing/jump-host.ts";
import { eventsNamed } from "./testing/session-probe.ts";

const built = await startBuiltHost(buildAgent);
const { agent, host } = built;
afterAll(() => built[Symbol.asyncDispose]());

/** A program on the jump host in place of node. It answers `-v`; the rest is `body`. */
async function fakeNode(name: string, body: string, version = "v20.0.0"): Promise<string> {
  const path = host.sshd.folder.file(name);
  await writeFile(path, `#!/bin/sh\n[ "$1" = -v ] && { echo ${version}; exit; }\n${body}\n`);
  await chmod(path, 0o755);
  return path;
}

/** A node that runs `program` instead of the loader, which finds its nonce and digest in `process.argv[2]` and `[3]`. */
async function lyingAgent(name: string, program: string): Promise<string> {
  const path = host.sshd.folder.file(`${name}.cjs`);
  await writeFile(
    path,
    `const [, , nonce, digest] = process.argv;
const send = (bytes) => process.stdout.write(bytes);
const preamble = (status) => send("farside-preamble:" + nonce + ":" + status + "\\n");
process.stdin.resume().on("end", () => process.exit());
${program}`,
  );
  return fakeNode(name, `exec ${process.execPath} ${path} "$3" "$4"`);
}

/** What a session with this node fails with. It must have left nothing. */
async function failureOf(remoteNode: string, more: Parameters<JumpHost["options"]>[0] = {}) {
  const options = host.options({ remoteNode, ...more });
  const session = await startSession(options);
  const { failure, receipt } = await session.closed;
  expect(receipt).toMatchObject({ processes: [], listeners: [], files: [], clean: true });
  expect(eventsNamed(options.events, "error")[0]?.code).toBe(failure?.code);
  return failure;
}

describe("a deploy that can't work", () => {
  it("says that there is no node, and how to give one", async () => {
    const failure = await failureOf("/nonexistent/node");
    expect(failure).toMatchObject({ code: "agent.no-runtime", leg: "jump" });
    expect(failure?.hint).toContain("--remote-node");
  });

  it("says which node is too old, and where it is", async () => {
    const old = await fakeNode("old", "exit 9", "v16.20.2");
    const failure = await failureOf(old);
    expect(failure?.code).toBe("agent.runtime-too-old");
    expect(failure?.message).toContain(`16.20.2 (${old})`);
  });

  it("does not run a bundle that arrives altered", async () => {
    const compressed = Buffer.from(agent.bundle.compressed);
    compressed.writeUInt8(compressed.readUInt8(1000) ^ 1, 1000);
    const failure = await failureOf(process.execPath, { bundle: { ...agent.bundle, compressed } });
    expect(failure?.code).toBe("agent.digest-mismatch");
  });

  it("shows what was printed, harmlessly, when the command fails", async () => {
    const node = await fakeNode("failing", "printf 'no \\033[2Jmemory' >&2; exit 9");
    expect(await failureOf(node)).toMatchObject({
      code: "agent.start-failed",
      message: expect.stringMatching(/exited with 9; it printed: no \\x1b\[2Jmemory/),
    });
  });

  it("says that no agent answered when the command ends without a word", async () => {
    expect((await failureOf(await fakeNode("silent", "exit 0")))?.code).toBe("protocol.no-preamble");
    const noisy = await fakeNode("noisy", "printf '\\033]0;title'; exit 0");
    expect(await failureOf(noisy)).toMatchObject({
      code: "protocol.no-preamble",
      hint: expect.stringContaining("\\x1b]0;title"),
    });
    const endless = await fakeNode("endless", "exec yes noise");
    expect((await failureOf(endless))?.code).toBe("protocol.no-preamble");
  });

  it("gives up when the start takes too long, and leaves nothing", async () => {
    const hanging = await fakeNode("hanging", "trap '' TERM; while :; do read -r x; sleep 0.05; done");
    const failure = await failureOf(hanging, { startTimeoutMs: 700 });
    expect(failure).toMatchObject({ code: "timeout", message: expect.stringContaining("0.7 s") });
  });
});

const hello = (fields: string) => `
const hello = { kind: "event", name: "hello.agent", data: { protocol: { min: 1, max: 1 }, agentVersion: "0", digest,
  capabilities: [], pid: process.pid, node: "20", platform: "linux", hostname: "h", uid: 0, user: "u", ${fields} } };
const { pack } = require("${import.meta.resolve("msgpackr").replace("file://", "").replace("/index.js", "/dist/node.cjs")}");
const frame = (body) => Buffer.concat([Buffer.from([0, 0, body.length >> 8, body.length & 255]), body]);
preamble("agent");
send(frame(pack(hello)));`;

describe("the first forward", () => {
  it("is asked behind the bundle: an agent may wait with its hello until it has it", async () => {
    const program = `let seen = ""; let told = false;
      process.stdin.on("data", (chunk) => {
        seen += chunk.toString("latin1");
        if (told || !/hello[.]orchestrator[^]*forward[.]open/.test(seen)) return;
        told = true;
        ${hello("")}
        send(frame(pack({ kind: "response", id: 1, result: { bound: [{ kind: "tcp", address: "127.0.0.1", port: 1 }] } })));
      });`;
    const node = await lyingAgent("eager", program);
    // A short lease, for it answers nothing else: the session would wait for that.
    const options = host.options({ remoteNode: node, leaseMs: 2_000, forwards: "1:127.0.0.1:9" });
    await using session = await deployAndForward(options);
    expect(session.forwards).toMatchObject([{ id: "1", bound: [{ address: "127.0.0.1", port: 1 }] }]);
  });

  it("is taken back in the undo log where no agent has run: its port may be another program's of the same user", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    const { port } = other.address() as AddressInfo;
    try {
      const altered = Buffer.from(agent.bundle.compressed).fill(0, 1_000, 1_004);
      for (const [remoteNode, compressed, code] of [
        ["/nonexistent/node", agent.bundle.compressed, "agent.no-runtime"],
        [process.execPath, altered, "agent.digest-mismatch"],
      ] as const) {
        const bundle = { ...agent.bundle, compressed };
        const failure = await failureOf(remoteNode, { forwards: `${port}:127.0.0.1:9`, bundle });
        expect(failure?.code).toBe(code);
      }
    } finally {
      other.close();
    }
  });
});

describe("an agent that lies", () => {
  it.each([
    ["garbage", `preamble("agent"); send(Buffer.alloc(100, 0xc1));`, "protocol.bad-message"],
    [
      "an oversized frame",
      `preamble("agent"); send(Buffer.from([0x7f, 0xff, 0xff, 0xff]));`,
      "protocol.bad-message",
    ],
    [
      "a truncated frame",
      `preamble("agent"); send(Buffer.from([0, 0, 1, 0, 0x80])); process.exit();`,
      "protocol.bad-message",
    ],
    ["nothing at all", `preamble("agent"); process.exit();`, "agent.start-failed"],
    ["another bundle's digest", hello(`digest: "0".repeat(64)`), "agent.digest-mismatch"],
    ["another protocol", hello(`protocol: { min: 2, max: 9 }`), "protocol.version"],
    ["a hello without fields", hello(`pid: undefined`), "protocol.bad-message"],
    ["a status that is none", `preamble("x\\u001b[2J");`, "agent.start-failed"],
  ])("with %s is refused", async (name, program, code) => {
    const node = await lyingAgent(name.replaceAll(/\W/g, "-"), program);
    const failure = await failureOf(node);
    expect(failure).toMatchObject({ code, message: expect.stringContaining("127.0.0.1") });
    expect(failure?.message).not.toMatch(/\p{Cc}/u);
  });

  it("never answers: the start's deadline ends it", async () => {
    const node = await lyingAgent("mute", `preamble("agent"); process.on("SIGTERM", () => {});`);
    expect((await failureOf(node, { startTimeoutMs: 700 }))?.code).toBe("timeout");
    const polite = await lyingAgent("polite", hello(""));
    expect((await failureOf(polite, { startTimeoutMs: 700 }))?.code).toBe("timeout");
  });

  it("stops answering: the session ends after a lease", async () => {
    const opened = `setTimeout(() =>
      send(frame(pack({ kind: "response", id: 1, result: { bound: [{ kind: "tcp", address: "127.0.0.1", port: 1 }] } }))), 100);`;
    const node = await lyingAgent("frozen", hello("") + opened);
    const options = host.options({ remoteNode: node, leaseMs: 1_000, forwards: "1:127.0.0.1:9" });
    await using session = await deployAndForward(options);
    const { failure, receipt } = await session.closed;
    expect(failure).toMatchObject({
      code: "agent.gone",
      message: expect.stringContaining("did not answer for 1 s"),
    });
    expect(receipt?.clean).toBe(true);
  });
});
