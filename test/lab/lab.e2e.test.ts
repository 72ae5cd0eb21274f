import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Player } from "../conformance/player.ts";
import { describeLab, testLab } from "../support/describe-lab.ts";
import { expectNothingLeft } from "../support/leftovers.ts";
import { waitFor } from "../support/wait-for.ts";
import { type Lab, startLab, TARGET } from "./lab.ts";
import { sweepLabFolders } from "./lab-folder.ts";
import { installProgram } from "./program.ts";

const canConnect = (address: string, withinSeconds = 15): string[] => [
  ...["timeout", String(withinSeconds), "bash", "-c", `: < /dev/tcp/${address}/22`],
];

describeLab("a lab", () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await startLab({ card: false, targets: 2 });
  });
  afterAll(() => lab.close());

  test("lets the workstation reach the jump host, and only the jump host reach the target", async () => {
    expect((await lab.workstation.exec(canConnect("172.16.16.158"))).code).toBe(0);
    expect((await lab.workstation.exec(canConnect(TARGET))).code).not.toBe(0);
    expect((await lab.jump.exec(canConnect(TARGET))).code).toBe(0);
    expect((await lab.jump.exec(canConnect("172.16.16.161"))).code).not.toBe(0);
    expect((await lab.target.exec(canConnect("172.16.16.161"))).code).toBe(0);
  });

  test("runs real sshds that take an authorized key", async () => {
    await lab.workstation.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/root/.ssh/id_ed25519"]);
    await lab.authorize(await lab.workstation.readFile("/root/.ssh/id_ed25519.pub"));
    const answer = await lab.workstation.run([
      "ssh",
      "-o",
      "BatchMode=yes",
      "builder@172.16.16.158",
      "hostname; whoami",
    ]);
    expect(answer).toBe("jump\nbuilder\n");
  });

  test("shows the checkout on the workstation only", async () => {
    const look = ["test", "-e", fileURLToPath(new URL("../../package.json", import.meta.url))];
    expect((await lab.workstation.exec(look)).code).toBe(0);
    expect((await lab.jump.exec(look)).code).toBe(1);
    expect((await lab.target.exec(look)).code).toBe(1);
  });

  test("starts a program many times at once, and writes it once", async () => {
    const starts = Array.from({ length: 12 }, () => Player.start(lab.jump));
    const players = await Promise.all(starts);
    const listening = players.map(
      (player, run) =>
        new Promise<string>((resolve) => {
          const order = {
            play: "service",
            at: { path: `/tmp/player-${run}` },
            steps: [],
            connections: 1,
          } as const;
          player.tell({ run, ...order }, ({ is }) => resolve(is));
        }),
    );
    const ended = players.map(({ ended }) => ended);
    expect(new Set(await Promise.race([Promise.all(listening), ...ended]))).toEqual(new Set(["listening"]));
    for (const player of players) await player[Symbol.asyncDispose]();
    const written = ["stat", "-c", "%z", "/opt/lab/script-player.cjs"];
    const before = await lab.jump.run(written);
    await installProgram(lab.jump, "script-player");
    expect(await lab.jump.run(written)).toBe(before);
  });

  test("finds a process, a listener and a file that a login left behind, and nothing of a login that left none", async () => {
    await lab.jump.mark();
    await lab.workstation.run(["ssh", "-o", "BatchMode=yes", "builder@172.16.16.158", "true"]);
    await expectNothingLeft(lab.jump);
    const plant = [
      "echo x > ~/in-home; echo x > /tmp/in-tmp; echo x > /dev/shm/in-shm; echo x > /var/tmp/in-var-tmp; mkdir ~/folder",
      "node -e 'net.createServer().listen(4444, `127.0.0.1`); net.createServer().listen(`/tmp/socket`)' <&- >&- 2>&- &",
    ];
    await lab.jump.run(["sh", "-c", plant.join("\n")], { user: "builder" });
    const residue = await waitFor(
      async () => {
        const now = await lab.jump.residue();
        return now.listeners.length >= 2 && now;
      },
      { what: "two listeners" },
    );
    expect(residue.processes).toHaveLength(1);
    expect(residue.processes[0]).toContain("uid 1500 node -e");
    expect(residue.listeners).toEqual(["tcp 127.0.0.1:4444 uid 1500", "unix /tmp/socket"]);
    expect(residue.files).toEqual([
      "/dev/shm/in-shm",
      "/home/builder/folder",
      "/home/builder/in-home",
      "/tmp/in-tmp",
      "/tmp/socket",
      "/var/tmp/in-var-tmp",
    ]);
    process.kill(Number(residue.processes[0]?.split(" ")[0]), "SIGKILL");
    await lab.jump.run([
      "sh",
      "-c",
      "rm -rf /tmp/in-tmp /tmp/socket /dev/shm/in-shm /var/tmp/in-var-tmp /home/builder/in-home /home/builder/folder",
    ]);
    await expectNothingLeft(lab.jump);
  });

  test("finds a file that was there and has been written to", async () => {
    await lab.jump.mark();
    await lab.jump.run(["sh", "-c", "echo changed >> ~/.bashrc"], { user: "builder" });
    expect((await lab.jump.residue()).files).toEqual(["/home/builder/.bashrc"]);
  });

  test("cuts the workstation's link, swallows its packets, and counts its bytes", async () => {
    const before = await lab.workstationBytes();
    expect((await lab.workstation.exec(canConnect("172.16.16.158"))).code).toBe(0);
    expect(await lab.workstationBytes()).toBeGreaterThan(before);
    await lab.cutWorkstationLink();
    expect((await lab.workstation.exec(canConnect("172.16.16.158"))).code).not.toBe(0);
    await lab.restoreWorkstationLink();
    await waitFor(async () => (await lab.workstation.exec(canConnect("172.16.16.158"))).code === 0, {
      what: "the link",
    });
    await lab.blackholeWorkstationLink();
    expect((await lab.workstation.exec(canConnect("172.16.16.158", 2))).code).toBe(124);
    await lab.endBlackhole();
    expect((await lab.workstation.exec(canConnect("172.16.16.158"))).code).toBe(0);
  });

  test("restarts an sshd with other options, and stops it", async () => {
    await lab.target.sshd.stop();
    expect((await lab.jump.exec(canConnect(TARGET))).code).not.toBe(0);
    await lab.target.sshd.start(["AllowTcpForwarding no"]);
    expect(await lab.target.run(["/usr/sbin/sshd", "-T"])).toContain("allowtcpforwarding no");
    expect((await lab.jump.exec(canConnect(TARGET))).code).toBe(0);
  });

  test("lets another server on the jump host answer for the target", async () => {
    await lab.impersonateTarget();
    expect((await lab.jump.exec(canConnect(TARGET))).code).not.toBe(0);
    const fake = lab.jump.spawn([
      "node",
      "-e",
      `net.createServer((s) => s.end("fake\\n")).listen(22, "${TARGET}")`,
    ]);
    const read = ["timeout", "10", "bash", "-c", `read -r line < /dev/tcp/${TARGET}/22; echo "$line"`];
    await waitFor(async () => (await lab.jump.exec(read)).stdout === "fake\n", {
      what: "the fake target",
      withinMs: 30_000,
    });
    await fake.kill();
    await lab.endImpersonation();
    expect((await lab.jump.exec(read)).stdout).toContain("SSH-2.0-OpenSSH");
  });

  test("runs beside another lab", async () => {
    await using other = await startLab({ card: false });
    await other.jump.run(["sh", "-c", "echo other > /tmp/whose"]);
    await lab.jump.run(["sh", "-c", "echo first > /tmp/whose"]);
    expect(await other.jump.readFile("/tmp/whose")).toBe("other\n");
    expect((await other.workstation.exec(canConnect("172.16.16.158"))).code).toBe(0);
  });

  test("passes on exit status, signals and descriptors", async () => {
    expect((await lab.jump.exec(["sh", "-c", "exit 7"])).code).toBe(7);
    expect((await lab.jump.exec(["sh", "-c", "cat <&3"], { descriptors: ["three"] })).stdout).toBe("three");
    const sleeper = lab.jump.spawn(["sleep", "100"], { user: "builder" });
    await sleeper.signal("SIGTERM");
    expect(await sleeper.exit).toEqual({ code: null, signal: "SIGTERM" });
  });
});

/** Two labs are started in each of these, and Debian's systemd. */
const KILLED_WITHIN_MS = 150_000;

testLab(
  "a lab whose owner is killed leaves no process, mount or folder",
  () => killOwner([]),
  KILLED_WITHIN_MS,
);

testLab("nor does one with systemd, and no control group", () => killOwner(["--systemd"]), KILLED_WITHIN_MS);

testLab(
  "a folder whose owner is not written yet, or can't be seen from here, is not taken for a dead one's",
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "farside-lab-"));
    try {
      const owner = join(folder, "owner");
      writeFileSync(owner, "");
      sweepLabFolders();
      expect(existsSync(owner)).toBe(true);
      // Of a suite in a PID namespace of its own.
      writeFileSync(owner, "1 999999999999 pid:[1]\n");
      sweepLabFolders();
      expect(existsSync(owner)).toBe(true);
      writeFileSync(owner, `1 999999999999 ${readlinkSync("/proc/self/ns/pid")}\n`);
      sweepLabFolders();
      expect(existsSync(folder)).toBe(false);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
);

async function killOwner(options: readonly string[]): Promise<void> {
  const owner = spawn(
    process.execPath,
    [
      "--import",
      "tsx",
      "--conditions=@farside/source",
      fileURLToPath(new URL("./main.ts", import.meta.url)),
      "--no-card",
      ...options,
    ],
    { stdio: ["pipe", "pipe", "inherit"] },
  );
  const [line] = (await once(createInterface({ input: owner.stdout }), "line")) as [string];
  const facts = JSON.parse(line) as Record<string, { pid: number }> & { shared: string };
  const pids = ["workstation", "jump", "target", "target2"].map((name) => facts[name]?.pid ?? 0);
  const namespaces = new Set(pids.map((pid) => readlinkSync(`/proc/${pid}/ns/net`)));
  expect(namespaces.size).toBe(4);
  // While they are held, no lab of another file of tests gets one of their numbers.
  const held = pids.map((pid) => openSync(`/proc/${pid}/ns/net`, "r"));
  expect(controlGroupsNamed(basename(dirname(facts.shared)))).toHaveLength(options.length);
  owner.kill("SIGKILL");
  await once(owner, "exit");
  expect(readFileSync("/proc/self/mounts", "utf8")).not.toContain(facts.shared.replace("/shared", ""));
  await waitFor(() => processesIn(namespaces).length === 0, {
    what: "the end of every process in them",
    detail: () => processesIn(namespaces).join(),
  });
  expect(processesIn(namespaces)).toEqual([]);
  for (const descriptor of held) closeSync(descriptor);
  const labName = basename(dirname(facts.shared));
  await waitFor(() => controlGroupsNamed(labName).length === 0, { what: "the end of its control groups" });
  // The folder is left to the next lab, which knows that its owner is gone.
  await using _next = await startLab({ card: false });
  // That, or one of another file of tests.
  await waitFor(() => !existsSync(facts.shared), { what: "the end of the folder" });
}

/** The machine's control groups of that lab. */
function controlGroupsNamed(labName: string): string[] {
  const places = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].filter((place) => existsSync(place));
  return places.flatMap((place) => readdirSync(place).filter((name) => name.includes(labName)));
}

function processesIn(namespaces: ReadonlySet<string>): string[] {
  return readdirSync("/proc").filter((name) => {
    try {
      return /^\d+$/.test(name) && namespaces.has(readlinkSync(`/proc/${name}/ns/net`));
    } catch {
      return false;
    }
  });
}
