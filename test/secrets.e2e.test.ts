import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { Host } from "./lab/host.ts";
import { processesOf } from "./lab/host-state.ts";
import { type Lab, startLab } from "./lab/lab.ts";
import { describeLab } from "./support/describe-lab.ts";
import { cliPath, type FarsideRun, mainJob, runFarside } from "./support/farside.ts";
import { Terminal } from "./support/pty.ts";

/** Long enough not to turn up by chance in a key or a hash. */
const PIN = "90712834";
const WRONG_PIN = "51882097";

describeLab("the PIN is nowhere", () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await startLab({ card: { pin: PIN } });
  });
  afterAll(() => lab.close());
  beforeEach(() => lab.card.setTries(3));

  /** Runs the main job with everything switched on that could write it down. */
  async function runAndLook(
    farside: FarsideRun,
    allowed: (commandLine: string) => boolean = () => false,
  ): Promise<void> {
    await farside.ready();
    for (const host of lab.hosts) expect(await holders(host, PIN, allowed)).toEqual([]);
    expect((await farside.end()).exit.code, farside.transcript).toBe(0);
    expect(farside.transcript).not.toContain(PIN);
    await expectInNoFile();
  }

  async function expectInNoFile(pin = PIN): Promise<void> {
    for (const host of lab.hosts) expect(await host.filesWith(pin)).toEqual([]);
  }

  test("with fd:", async () => {
    await runAndLook(runFarside(lab, [...mainJob(), "--log-level", "debug"]));
  });

  test("with env:, but in farside's own environment as it was started", async () => {
    const args = [...mainJob(), "--log-level", "debug", "--pin-source", "env:THE_PIN"];
    const farside = runFarside(lab, args, { pin: false, env: { THE_PIN: PIN } });
    // A child of it has its environment, too, in the moment before it becomes a program of its own.
    await runAndLook(farside, (line) => line.includes("/cli/dist/main.js forward "));
  });

  test("with file:, but in that file", async () => {
    await lab.workstation.writeFile("/dev/shm/pin", `${PIN}\n`);
    await lab.workstation.run(["chmod", "600", "/dev/shm/pin"]);
    const farside = runFarside(
      lab,
      [...mainJob(), "--log-level", "debug", "--pin-source", "file:/dev/shm/pin"],
      {
        pin: false,
      },
    );
    await farside.ready();
    for (const host of lab.hosts) expect(await holders(host, PIN, () => false)).toEqual([]);
    expect((await farside.end()).exit.code, farside.transcript).toBe(0);
    expect(farside.transcript).not.toContain(PIN);
    await lab.workstation.run(["rm", "/dev/shm/pin"]);
    await expectInNoFile();
  });

  test("with a terminal", async () => {
    await using terminal = Terminal.start(lab, `node ${cliPath} ${mainJob().join(" ")} --log-level debug`);
    await terminal.waitForText(/PIN/);
    terminal.type(`${PIN}\r`);
    await terminal.waitForText(/ready: session/);
    for (const host of lab.hosts) expect(await holders(host, PIN, () => false)).toEqual([]);
    terminal.type("\x03");
    expect((await terminal.exit).code).toBe(0);
    expect(terminal.text).not.toContain(PIN);
    await expectInNoFile();
  });

  test("with askpass, but in the program that asks", async () => {
    await lab.workstation.writeFile("/opt/lab/askpass", `#!/bin/sh\necho ${PIN}\n`);
    await lab.workstation.run(["chmod", "700", "/opt/lab/askpass"]);
    await runAndLook(
      runFarside(lab, [...mainJob(), "--log-level", "debug", "--pin-source", "askpass"], {
        pin: false,
        env: { SSH_ASKPASS: "/opt/lab/askpass", DISPLAY: ":0" },
      }),
    );
  });

  test("when it is wrong", async () => {
    await using farside = runFarside(lab, [...mainJob(), "--log-level", "debug"], { pin: WRONG_PIN });
    expect((await farside.exit).code).toBe(77);
    expect(farside.transcript).not.toContain(WRONG_PIN);
    await expectInNoFile(WRONG_PIN);
  });

  test("and this test would find it", async () => {
    await lab.workstation.run(["sh", "-c", `echo "pin is ${PIN}" > ~/careless.log`]);
    expect(await lab.workstation.filesWith(PIN)).toEqual(["/root/careless.log"]);
    await using sleeper = lab.workstation.spawn(["sleep", "1000"], { env: { CARELESS: PIN } });
    // In the moment in which it becomes another program its environment can't be read.
    await expect.poll(() => holders(lab.workstation, PIN, () => false)).toHaveLength(1);
    await sleeper.kill();
    await lab.workstation.run(["rm", "/root/careless.log"]);
  });
});

/** Processes of `host` that have `pin` in their arguments or environment, but the ones that are `allowed` to. */
async function holders(
  host: Host,
  pin: string,
  allowed: (commandLine: string) => boolean,
): Promise<string[]> {
  const found: string[] = [];
  for (const line of (await processesOf(host.initPid)).values()) {
    const pid = line.split(" ")[0];
    const [commandLine, environment] = await Promise.all(
      ["cmdline", "environ"].map((name) => readFile(`/proc/${pid}/${name}`, "latin1").catch(() => "")),
    );
    if (`${commandLine}\0${environment}`.includes(pin) && !allowed(line)) found.push(line);
  }
  return found;
}
