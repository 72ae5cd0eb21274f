import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { addressesOf } from "../testing/describe-socket-owners.ts";
import { connect, serveTcp } from "../testing/tcp.ts";
import { SockDiagOwners } from "./sock-diag-owners.ts";

const connection = {
  localAddress: "127.0.0.1",
  localPort: 4444,
  remoteAddress: "127.0.0.1",
  remotePort: 50_000,
};

/** The helper has to start first. */
const LONG_MS = 30_000;

function helper(program: string, answerTimeoutMs = LONG_MS): SockDiagOwners {
  return new SockDiagOwners({ environment: {}, command: [process.execPath, "-e", program], answerTimeoutMs });
}

/** A helper that answers each question with `answer` (JavaScript over `question`, a Buffer). */
const answering = (answer: string) =>
  `process.stdin.on("data", (question) => process.stdout.write(${answer}));`;

describe("owners by a helper process", () => {
  test.each([
    ["ends at once", "process.exit(3)", /the helper ended \(3\)/],
    ["says more than it was asked", answering("Buffer.alloc(880)"), /another question/],
    ["answers another question", answering("Buffer.alloc(88)"), /another question/],
    [
      "is refused by the kernel",
      answering(
        "(() => { const a = Buffer.alloc(88); a.writeUInt16LE(2, 4); question.copy(a, 8, 8, 12); a.writeInt32LE(-13, 16); return a; })()",
      ),
      /errno 13/,
    ],
    [
      "says something else",
      answering(
        "(() => { const a = Buffer.alloc(88); a.writeUInt16LE(3, 4); question.copy(a, 8, 8, 12); return a; })()",
      ),
      /type 3/,
    ],
  ])("reject everything, for good, when it %s", async (_, program, error) => {
    const owners = helper(program);
    await expect(owners.ownerOf(connection)).rejects.toThrow(error);
    await expect(owners.ownerOf(connection)).rejects.toThrow(error);
    await owners.close();
  });

  test("reject when there is no such program", async () => {
    const owners = new SockDiagOwners({ environment: {}, command: ["/nowhere/perl"] });
    await expect(owners.ownerOf(connection)).rejects.toThrow("ENOENT");
    await owners.close();
  });

  test("reject what waits when no answer comes in time", async () => {
    const owners = helper("setInterval(() => {}, 1e6)", 50);
    const late = () => expect(owners.ownerOf(connection)).rejects.toThrow("no answer within 50 ms");
    await Promise.all([late(), late()]);
    await owners.close();
  });

  test("take an answer for missing that names other ends than the question", async () => {
    const other =
      "(() => { const a = Buffer.alloc(88); a.writeUInt32LE(88, 0); a.writeUInt16LE(20, 4); question.copy(a, 8, 8, 12); a[16] = question[16]; a[17] = 1; question.copy(a, 20, 24, 72); a[21] ^= 1; a.writeUInt32LE(1, 84); return a; })()";
    const owners = helper(answering(other));
    expect(await owners.ownerOf(connection)).toBe("missing");
    await owners.close();
    const right = helper(answering(other.replace("a[21] ^= 1;", "")));
    expect(await right.ownerOf(connection)).toBe(0);
    await right.close();
  });
});

describe.runIf(existsSync("/usr/bin/perl"))("the helper of perl", () => {
  test("gets the given environment alone, and is gone after the close", async () => {
    const before = new Set(children());
    const owners = new SockDiagOwners({
      environment: { FARSIDE_RUN: "0123" },
      answerTimeoutMs: LONG_MS,
    });
    await owners.ownerOf(connection);
    const started = children().filter((pid) => !before.has(pid));
    expect(started).toHaveLength(1);
    expect(readFileSync(`/proc/${started[0]}/environ`, "latin1")).toBe("FARSIDE_RUN=0123\0");
    expect(readFileSync(`/proc/${started[0]}/cmdline`, "latin1")).toContain("farside: whose connections are");
    await owners.close();
    await owners.close();
    expect(children().filter((pid) => !before.has(pid))).toEqual([]);
    await expect(owners.ownerOf(connection)).rejects.toThrow("closed");
  });

  test("that is killed under way answers or rejects, and admits nobody wrongly", async () => {
    await using server = await serveTcp(() => {}, { host: "127.0.0.1", port: 0 });
    const client = await connect({ host: "127.0.0.1", port: server.port });
    const addresses = addressesOf(await server.first);
    client.resetAndDestroy();
    await once(client, "close");
    const before = new Set(children());
    const owners = new SockDiagOwners({ environment: {}, answerTimeoutMs: LONG_MS });
    await owners.ownerOf(connection);
    const asked = Array.from({ length: 1000 }, () => owners.ownerOf(addresses));
    for (const pid of children()) if (!before.has(pid)) process.kill(Number(pid), "SIGKILL");
    for (const { status, value } of (await Promise.allSettled(asked)) as PromiseFulfilledResult<unknown>[])
      if (status === "fulfilled") expect(value).toBe("missing");
    await expect(owners.ownerOf(addresses)).rejects.toThrow();
    expect(asked).toHaveLength(1000);
  });
});

/** Pids of this process's children. */
function children(): string[] {
  return readdirSync("/proc/self/task").flatMap((task) => {
    const pids = readFileSync(`/proc/self/task/${task}/children`, "latin1").trim();
    return pids === "" ? [] : pids.split(" ");
  });
}
