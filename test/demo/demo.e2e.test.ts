import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect } from "vitest";
import { checkout, PUBLIC_CHECKOUT, startLab } from "../lab/lab.ts";
import { testLab } from "../support/describe-lab.ts";
import { quietNow } from "../support/quiet-time.ts";
import { waitFor } from "../support/wait-for.ts";

const promises = (text: string): string[] => text.split("\n").filter((line) => /^ {2}[✓✗] /.test(line));

testLab(
  "the demo keeps what it promises in 20 s",
  async () => {
    const started = quietNow();
    const { stdout } = await promisify(execFile)(`${checkout}/scripts/demo`, { timeout: 150_000 });
    expect(promises(stdout)).toHaveLength(8);
    expect(stdout).not.toContain("✗");
    expect(stdout).toContain("the signature is valid");
    expect(quietNow() - started).toBeLessThan(20_000);
  },
  180_000,
);

testLab(
  "the demo of an ordinary user keeps what it promises, and says what differs",
  async () => {
    await using lab = await startLab({ card: false });
    const demo = ["node", "--import", "tsx", "--conditions=@farside/source", "test/demo/main.ts"];
    const { code, stdout, stderr } = await lab.workstation.exec(demo, {
      user: "alice",
      cwd: PUBLIC_CHECKOUT,
      timeoutMs: 120_000,
    });
    expect(code, `${stdout}${stderr}`).toBe(0);
    expect(stdout).toContain("What differs");
    expect(promises(stdout).length).toBeGreaterThan(5);
    expect(stdout).not.toContain("✗");
  },
  180_000,
);

testLab(
  "an interrupt of the demo leaves nothing of it",
  async () => {
    await using lab = await startLab({ card: false });
    const argv = ["node", "--import", "tsx", "--conditions=@farside/source", "test/demo/main.ts"];
    await using demo = lab.workstation.spawn(argv, { user: "alice", cwd: PUBLIC_CHECKOUT });
    await waitFor(() => demo.stdout.includes("ready: session"), {
      what: "ready",
      withinMs: 30_000,
    });
    await demo.signal("SIGINT");
    expect((await demo.exit).code).toBe(130);
    const left = async () => {
      const { stdout: processes } = await lab.workstation.exec(["pgrep", "-a", "-u", "alice"]);
      const { stdout: files } = await lab.workstation.exec([
        "find",
        "/tmp",
        "/home",
        "-name",
        "*farside*",
        "-user",
        "alice",
      ]);
      return `${processes}${files}`;
    };
    await waitFor(async () => (await left()) === "", { what: "the end of everything" }).catch(
      () => undefined,
    );
    expect(await left()).toBe("");
  },
  180_000,
);
