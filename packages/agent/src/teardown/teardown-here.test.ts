import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { removeStaleSockets } from "./stale-sockets.ts";
import { teardownHere } from "./teardown-here.ts";

// Agents of other tests run as this user: a uid of its own keeps them apart.
const uid = 61_000 + (process.pid % 1_000);
const isRoot = process.getuid?.() === 0;
let folder: string;
let children: ChildProcess[];
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), "fs-td-"));
  children = [];
});
afterEach(async () => {
  for (const child of children) child.kill("SIGKILL");
  await rm(folder, { recursive: true, force: true });
});

const GRACE_MS = 1_000;
const nonce = () => randomBytes(16).toString("hex");
const here = () =>
  teardownHere({
    graceMs: GRACE_MS,
    ...{ uid, installedRoot: `${folder}/farside` },
    environment: { HOME: folder, XDG_RUNTIME_DIR: `${folder}/run` },
  });
async function start(script: string, run: string, owner = uid): Promise<ChildProcess> {
  const child = spawn("/bin/sh", ["-c", `${script}; echo up; while :; do sleep 0.1; done`], {
    ...{
      uid: owner,
      gid: owner,
      stdio: ["ignore", "pipe", "ignore"],
      cwd: "/",
      env: { PATH: "/usr/bin:/bin", FARSIDE_RUN: run },
    },
  });
  children.push(child);
  if (child.stdout !== null) await once(child.stdout, "data");
  return child;
}
const hasEnded = ({ exitCode, signalCode }: ChildProcess) => exitCode !== null || signalCode !== null;

describe.runIf(isRoot)("a teardown on the host itself", () => {
  test("ends every agent of the user, also deaf ones, and nothing else; a second time there is nothing to do", async () => {
    const plain = await start(":", nonce());
    const deaf = await start("trap '' TERM", nonce());
    // Root may signal that one, too.
    const others = await start(":", nonce(), uid + 1_000);
    const innocent = spawn("sleep", ["60"], { uid, gid: uid, stdio: "ignore", cwd: "/" });
    children.push(innocent);
    expect(await here()).toEqual({ processes: [], files: [] });
    await expect.poll(() => [plain, deaf].map(hasEnded)).toEqual([true, true]);
    expect([innocent, others].map(hasEnded)).toEqual([false, false]);
    expect(await here()).toEqual({ processes: [], files: [] });
  });

  test("tells each once, and again only when the grace is over", async () => {
    const told = path.join(folder, "told");
    await writeFile(told, "");
    await chown(told, uid, uid);
    await chmod(folder, 0o755);
    // It ends at the second SIGTERM.
    const script = `n=0; trap 'date +%s%N >> ${told}; n=$((n+1)); [ $n = 2 ] && exit 0' TERM`;
    await start(script, nonce());
    const begunAt = Date.now();
    expect(await here()).toEqual({ processes: [], files: [] });
    const [, second = 0n, ...more] = (await readFile(told, "utf8")).split("\n").map(BigInt);
    // From when the first was sent: a busy shell hears of that as late as it likes.
    expect(Number(second) / 1e6 - begunAt).toBeGreaterThan(GRACE_MS - 10);
    expect(more).toEqual([0n]);
  });

  test("lets installed agents be", async () => {
    const run = nonce();
    await mkdir(`${folder}/farside/build`, { recursive: true });
    await writeFile(`${folder}/farside/build/install.json`, JSON.stringify({ version: 1, run }));
    const installed = await start(":", run);
    const other = await start(":", nonce());
    expect(await here()).toEqual({ processes: [], files: [] });
    await expect.poll(() => hasEnded(other)).toBe(true);
    expect(hasEnded(installed)).toBe(false);
  });
});

describe("its control sockets", () => {
  test("go where nobody answers, and stay and are told of where somebody does", async () => {
    const own = process.getuid?.() ?? 0;
    const sockets = `${folder}/run/farside`;
    await mkdir(sockets, { recursive: true, mode: 0o700 });
    const live = createServer().listen(`${sockets}/live.sock`);
    await once(live, "listening");
    const script = `net.createServer().listen(${JSON.stringify(`${sockets}/dead.sock`)}, () => process.kill(process.pid, "SIGKILL"))`;
    await once(spawn(process.execPath, ["-e", script], { stdio: "ignore" }), "exit");
    for (const name of ["dead.log", "dead.log.1", "live.log"]) await writeFile(`${sockets}/${name}`, "");
    expect((await readdir(sockets)).sort()).toEqual([
      "dead.log",
      "dead.log.1",
      "dead.sock",
      "live.log",
      "live.sock",
    ]);
    const environment = { HOME: folder, XDG_RUNTIME_DIR: `${folder}/run` };
    // What other tests have in /tmp is theirs.
    const left = async () =>
      (await removeStaleSockets({ uid: own, environment })).filter((file) => file.startsWith(folder));
    expect(await left()).toEqual([`${sockets}/live.sock`, `${sockets}/live.log`]);
    live.close();
    await once(live, "close");
    expect(await left()).toEqual([]);
    expect(await readdir(`${folder}/run`)).toEqual([]);
  });
});
