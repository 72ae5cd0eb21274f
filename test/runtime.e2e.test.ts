import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { type Lab, startLab } from "./lab/lab.ts";
import { describeLab } from "./support/describe-lab.ts";
import { expectError } from "./support/expect-error.ts";
import { cliPath, JUMP_LOGIN, mainJob, runFarside } from "./support/farside.ts";
import { hideNode } from "./support/hide-node.ts";
import { expectNothingLeft } from "./support/leftovers.ts";
import { Terminal } from "./support/pty.ts";

/** The machine's own, which the workstation sees too. */
const sent = ["--runtime-file", process.execPath];
const LOGIN = "Accepted publickey for builder ";

describeLab("a jump host without a Node.js", () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await startLab();
    await hideNode(lab);
    // Packed already, and fast: how that is done is a unit test's.
    const pack =
      'mkdir -p ~/.cache/farside/runtimes; cd ~/.cache/farside/runtimes; gzip -1 < "$0" > "$(sha256sum < "$0" | cut -c -64).gz"';
    await lab.workstation.run(["bash", "-e", "-c", pack, process.execPath]);
  });
  afterAll(() => lab.close());
  beforeEach(async () => {
    await lab.jump.mark();
    await lab.card.resetCounters();
  });

  test("is asked about at a terminal, with the size, and nothing is sent without a yes", async () => {
    const command = `node ${cliPath} ${mainJob().join(" ")} --pin-source file:/root/pin ${sent.join(" ")}`;
    await lab.workstation.writeFile("/root/pin", `${lab.pin}\n`);
    await lab.workstation.run(["chmod", "600", "/root/pin"]);
    await using terminal = Terminal.start(lab, command);
    await terminal.waitForText(/builder@172\.16\.16\.158 has no Node\.js that fits.*about \d+(\.\d)? MB/s);
    await terminal.waitForText(/Send it\?/);
    terminal.type("no\r");
    await terminal.waitForText(/error\[agent\.no-runtime\]/);
    expect((await terminal.exit).code).toBe(69);
    await expectNothingLeft(lab.jump);
  });

  test("is sent one for one PIN and one login, and has no file of it even while it runs", async () => {
    const before = (await lab.jump.sshd.log()).split(LOGIN).length;
    await using farside = runFarside(lab, [...mainJob(), ...sent]);
    await farside.ready();
    const [upload] = farside.of("runtime.upload");
    expect(upload).toMatchObject({ host: JUMP_LOGIN, runtime: process.execPath, kept: false });
    const [ready] = farside.of("agent.ready");
    expect(ready?.node).toBe(process.versions.node);
    const { processes, files } = await lab.jump.residue();
    expect(files).toEqual([]);
    expect(processes.some((line) => line.includes("farside-agent"))).toBe(true);
    const { receipt } = await farside.end();
    expect(receipt).toMatchObject({ clean: true, files: [] });
    await expectNothingLeft(lab.jump);
    expect((await lab.card.counters()).verifies).toBe(1);
    expect((await lab.jump.sshd.log()).split(LOGIN).length - before).toBe(1);
  });

  test("has nothing of it after kill -9 in the middle of it, kept or not", async () => {
    for (const keep of [[], ["--keep-runtime"]]) {
      await using farside = runFarside(lab, [...mainJob(), ...sent, ...keep]);
      await farside.waitForEvent("runtime.upload");
      await farside.signal("SIGKILL");
      await farside.exit;
      expect(farside.of("agent.ready")).toEqual([]);
      await expectNothingLeft(lab.jump);
    }
  });

  test("keeps one with --keep-runtime for the next time, until teardown --host", async () => {
    const kept = ["--keep-runtime", ...sent];
    for (const uploads of [1, 0]) {
      await using farside = runFarside(lab, [...mainJob(), ...kept]);
      await farside.ready();
      expect(farside.of("runtime.upload"), farside.transcript).toHaveLength(uploads);
      expect((await farside.end()).receipt).toMatchObject({ clean: true });
    }
    const { files } = await lab.jump.residue();
    expect(files).toContainEqual(
      expect.stringMatching(/^\/home\/builder\/\.farside-runtime-\d+\/node-[0-9a-f]{64}$/),
    );
    await using teardown = runFarside(lab, ["teardown", "--host", JUMP_LOGIN]);
    expect((await teardown.exit).code, teardown.transcript).toBe(0);
    await expectNothingLeft(lab.jump);
  });

  test("with no registry to fetch one from is an error that says how else to give one", async () => {
    await using farside = runFarside(lab, mainJob());
    await expectError(farside, {
      code: "agent.no-runtime",
      leg: "jump",
      says: /fetching node-linux-\w+@.*npm pack failed/,
      hint: /--runtime-file/,
    });
    expect(farside.of("runtime.fetch")).toHaveLength(1);
    await expectNothingLeft(lab.jump);
  });

  test("whose folders are all noexec is an error that names them", async () => {
    const folders = ["/home", "/tmp", "/var/tmp", "/dev/shm"];
    const each = (commands: string) => [
      "sh",
      "-e",
      "-c",
      `for m in ${folders.join(" ")}; do ${commands}; done`,
    ];
    await lab.jump.run(each('mount --bind "$m" "$m"; mount -o remount,bind,noexec "$m"'));
    await lab.jump.mark();
    await using farside = runFarside(lab, [...mainJob(), ...sent]);
    await expectError(farside, {
      code: "agent.start-failed",
      says: /no folder.*\/var\/tmp: can not execute, \/tmp: can not execute.*\/home\/builder: can not execute/,
    });
    await expectNothingLeft(lab.jump);
    await lab.jump.run(each('umount "$m"'));
  });
});
