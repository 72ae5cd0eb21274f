import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { type Lab, startLab, TARGET } from "../lab/lab.ts";
import type { LabProcess } from "../lab/lab-process.ts";
import { installProgram } from "../lab/program.ts";
import { describeLab } from "../support/describe-lab.ts";
import { type FarsideRun, JUMP_LOGIN, runFarside } from "../support/farside.ts";
import { expectNothingLeft } from "../support/leftovers.ts";
import { waitFor } from "../support/wait-for.ts";

const MIB = 1024 * 1024;
const MOST_MORE = 80 * MIB;
const KEY = "/root/.ssh/id_ed25519";

/** The rest of what a server can do wrong is tried on the SSH client alone: violations.test.ts, refused-channel.test.ts and silent-server.test.ts of its data path. */
describeLab("a target whose SSH server is hostile", () => {
  let lab: Lab;
  let program: readonly string[];
  let port = 2200;
  beforeAll(async () => {
    lab = await startLab({ card: false });
    await lab.workstation.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", KEY]);
    await lab.authorize((await lab.workstation.readFile(`${KEY}.pub`)).trim());
    program = await installProgram(lab.target, "hostile-target");
  });
  afterAll(() => lab.close());
  beforeEach(() => lab.jump.mark());

  /** An open forward through the hostile server. */
  async function forwardThrough(mode: string): Promise<{ target: LabProcess; farside: FarsideRun }> {
    port += 1;
    const argv = [...program, TARGET, String(port), mode, "/etc/ssh/ssh_host_ed25519_key"];
    const target = lab.target.spawn(argv);
    await waitFor(() => target.stdout.includes("listening"), {
      ...{ what: "the hostile target", detail: () => target.stderr },
    });
    const via = `signer@${TARGET}:${port}`;
    const words = [
      "forward",
      JUMP_LOGIN,
      "--identity",
      KEY,
      "-L",
      "4444:localhost:9",
      "--via",
      via,
      "--grace",
      "1",
    ];
    const farside = runFarside(lab, words, { pin: false });
    await farside.ready();
    return { target, farside };
  }

  /** A node program on the jump host that has connected as `s`. */
  const client = (script: string): LabProcess =>
    lab.jump.spawn(["node", "-e", `const s = net.connect(4444, "127.0.0.1"); ${script}`], {
      user: "builder",
    });

  async function agentMemory(farside: FarsideRun): Promise<number> {
    const { pid } = await farside.waitForEvent("agent.ready");
    const status = await lab.jump.readFile(`/proc/${pid}/status`);
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
  }

  for (const mode of ["window-flood", "closed-channel"]) {
    test(`loses its connection by a ${mode}: the client is reset, the agent keeps its memory and goes on`, async () => {
      const { target, farside } = await forwardThrough(mode);
      try {
        const before = await agentMemory(farside);
        for (let count = 1; count <= 2; count += 1) {
          // It reads nothing until the relay is over: what is taken may be sent again. libuv shows a reset behind data as an end: a write tells.
          await using seen = client(
            `s.pause(); process.stdin.once("data", () => s.resume()); s.on("data", () => {}); s.on("error", (e) => console.log(e.code)); s.allowHalfOpen = true; s.on("end", () => s.write("x")); s.on("close", () => process.exit());`,
          );
          await waitFor(() => farside.of("relay.close").length === count, {
            ...{
              what: "the relay's end",
              withinMs: 20_000,
              detail: () => farside.transcript + target.stdout,
            },
          });
          seen.stdin.write("read\n");
          await seen.exit;
          expect(seen.stdout.trim(), farside.transcript).toMatch(/^(?:ECONNRESET|EPIPE)$/);
        }
        expect(target.stdout.split("channel").length - 1).toBe(2);
        expect((await agentMemory(farside)) - before).toBeLessThan(MOST_MORE);
        expect(farside.of("error")).toEqual([]);
        expect((await farside.end()).exit.code, farside.transcript).toBe(0);
      } finally {
        await farside.process.kill();
        await target.kill();
      }
      await expectNothingLeft(lab.jump);
    });
  }

  test("that never answers keeps its client waiting, and nobody from ending", async () => {
    const { target, farside } = await forwardThrough("silent");
    try {
      await using waiting = client(
        `s.on("error", (e) => console.log(e.code)); s.on("close", () => console.log("closed"));`,
      );
      await waitFor(() => target.stdout.includes("channel"), { what: "the question for a channel" });
      expect(waiting.stdout).toBe("");
      const { exit, ms } = await farside.end();
      expect(exit.code, farside.transcript).toBe(0);
      // The grace, not the dial's own deadline.
      expect(ms).toBeLessThan(15_000);
      await waiting.exit;
      expect(waiting.stdout).toContain("closed");
    } finally {
      await farside.process.kill();
      await target.kill();
    }
    await expectNothingLeft(lab.jump);
  });

  test("that exchanges keys without end gets the bytes through all the same, and the agent keeps its memory", async () => {
    const { target, farside } = await forwardThrough("rekey-storm");
    try {
      const before = await agentMemory(farside);
      const bytes = 200_000;
      const echo = client(
        `let n = 0; s.write(Buffer.alloc(${bytes})); s.on("data", (d) => { n += d.length; if (n === ${bytes}) s.end(); });
         s.on("error", (e) => console.log(e.code)); s.on("close", () => console.log(n));`,
      );
      await echo.exit;
      expect(echo.stdout.trim(), farside.transcript).toBe(String(bytes));
      await waitFor(() => target.stdout.includes("rekeyed"), {
        what: "a hundred key exchanges",
        withinMs: 40_000,
      });
      expect((await agentMemory(farside)) - before).toBeLessThan(MOST_MORE);
      expect((await farside.end()).exit.code, farside.transcript).toBe(0);
    } finally {
      await farside.process.kill();
      await target.kill();
    }
    await expectNothingLeft(lab.jump);
  });
});
