import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { checkout, startLab } from "../lab/lab.ts";

const promises = (text: string): string[] => text.split("\n").filter((line) => /^ {2}[✓✗] /.test(line));

test("the demo keeps what it promises in 20 s", async () => {
  const started = performance.now();
  const { stdout } = await promisify(execFile)(`${checkout}/scripts/demo`, { timeout: 60_000 });
  expect(promises(stdout)).toHaveLength(8);
  expect(stdout).not.toContain("✗");
  expect(stdout).toContain("the signature is valid");
  expect(performance.now() - started).toBeLessThan(20_000);
});

test("the demo of an ordinary user keeps what it promises, and says what differs", async () => {
  await using lab = await startLab({ card: false });
  const demo = ["node", "--import", "tsx", "--conditions=@farside/source", "test/demo/main.ts"];
  const { code, stdout, stderr } = await lab.workstation.exec(demo, {
    user: "alice",
    cwd: checkout,
    timeoutMs: 60_000,
  });
  expect(code, `${stdout}${stderr}`).toBe(0);
  expect(stdout).toContain("What differs");
  expect(promises(stdout).length).toBeGreaterThan(5);
  expect(stdout).not.toContain("✗");
}, 90_000);
