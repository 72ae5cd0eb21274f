import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { listenersOf } from "../lab/proc-net.ts";
import { programText } from "../lab/program.ts";
import { cliPath } from "../support/farside.ts";
import { waitFor, within } from "../support/wait-for.ts";
import { whenInterrupted } from "./interrupt.ts";
import { CheckList, dim, heading, say, Transcript } from "./show.ts";
import { PIN, startPlainPlace } from "./without-root.ts";

const RELEASE_BYTES = 8 * 1024 * 1024;

/** The main job for somebody who is not root: jump host and target are two sshds of their own on 127.0.0.1. */
export async function plainDemo(): Promise<boolean> {
  say("Not root, so this machine plays all three hosts. What differs from the demo as root:");
  say("  - jump host and target are two sshds of yours on 127.0.0.1, with one file system and one account;");
  say("    so nothing keeps the workstation from reaching the target, and files are not looked for;");
  say("  - bytes over the workstation's link can't be counted: there is no link.");
  await using place = await startPlainPlace();
  say(`  - the identity is ${place.identity}.`);

  const servicePort = await place.freePort();
  const port = await place.freePort();
  for (const name of ["signing-service", "build-job"] as const) {
    await writeFile(join(place.folder, `${name}.cjs`), await programText(name));
  }
  const service = spawn(process.execPath, [join(place.folder, "signing-service.cjs"), String(servicePort)]);
  process.once("exit", () => service.kill("SIGKILL"));
  try {
    const [publicKey] = (await within(once(service.stdout, "data"), 30_000, "the signing service")) as [
      Buffer,
    ];
    await writeFile(join(place.folder, "signing.pub"), publicKey);
    await writeFile(join(place.folder, "release.tar"), randomBytes(RELEASE_BYTES));
    const before = await listenersOf(process.pid);
    const earlier = new Set(await processesOfDeploys());

    heading("On the workstation: one command, one PIN");
    const args = ["forward", "jump", "-L", `${port}:localhost:${servicePort}`, "--via", "target"];
    say(`  $ farside ${args.join(" ")}`);
    const options = ["-F", place.sshConfig, "--pin-source", "fd:3", ...place.cardOptions];
    const farside = spawn(process.execPath, [cliPath, ...args, ...options], {
      stdio: ["ignore", "ignore", "pipe", "pipe"],
      env: { ...process.env, ...place.environment },
    });
    process.once("exit", () => farside.kill("SIGTERM"));
    const pin = farside.stdio[3] as NodeJS.WritableStream;
    pin.on("error", () => {});
    pin.end(`${PIN}\n`);
    const transcript = new Transcript();
    let said = "";
    farside.stderr?.setEncoding("utf8").on("data", (text: string) => {
      said += text;
      transcript.take(text);
    });
    const ended = once(farside, "close") as Promise<[number | null]>;
    // What it writes while it ends must not come behind the removal of its folder.
    whenInterrupted(async () => {
      farside.kill("SIGTERM");
      await within(ended, 10_000, "the end of farside");
    });
    await Promise.race([waitFor(() => /\bready\b/i.test(said), { what: "ready", withinMs: 30_000 }), ended]);
    const agentPid = /process (\d+)/.exec(said)?.[1];
    const list = new CheckList();

    heading(`On the jump host: a build job signs a file through localhost:${port}`);
    const jobArgs = ["build-job.cjs", "release.tar", "signing.pub", `localhost:${port}`];
    const job = spawn(process.execPath, jobArgs, { cwd: place.folder, stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [job.stdout, job.stderr]) stream.on("data", (text) => transcript.take(String(text)));
    const [jobCode] = (await within(once(job, "close"), 60_000, "the build job")) as [number | null];

    heading("On the workstation: SIGINT");
    farside.kill("SIGINT");
    const [code] = await within(ended, 30_000, "the end of farside");
    transcript.end();

    heading("What happened");
    list.check("the signature was made and verified", jobCode === 0 ? "yes" : "no", jobCode === 0);
    const counters = await place.counters();
    if (counters === undefined)
      say(dim("  - a SoftHSM2 token keeps no count of PIN verifications and signatures"));
    else {
      list.check("PIN verifications, as the card counts", String(counters.verifies), counters.verifies === 1);
      list.check("signatures, as the card counts", String(counters.signatures), counters.signatures === 2);
    }
    list.check("exit status of farside", String(code), code === 0);
    const listeners = (await listenersOf(process.pid)).filter(
      (line) => !before.includes(line) && line.includes(`:${port} `),
    );
    list.check("listeners left", listeners.join(", ") || "none", listeners.length === 0);
    const left = await leftOfDeploys(earlier);
    list.check(
      "processes of the agent left",
      left.join(", ") || "none",
      left.length === 0 && agentPid !== undefined,
    );
    list.check("the PIN in what it said", said.includes(PIN) ? "yes" : "no", !said.includes(PIN));
    return list.areAllKept;
  } finally {
    service.kill("SIGKILL");
  }
}

/** Those that are not among `earlier`: none as soon as there is none. */
async function leftOfDeploys(earlier: ReadonlySet<string>): Promise<string[]> {
  let left: string[] = [];
  const look = async () => {
    left = (await processesOfDeploys()).filter((pid) => !earlier.has(pid));
    return left.length === 0;
  };
  await waitFor(look, { what: "their end", withinMs: 5_000 }).catch(() => {});
  return left;
}

/** Every process of a deploy, children included, carries FARSIDE_RUN in its environment. */
async function processesOfDeploys(): Promise<string[]> {
  const found: string[] = [];
  for (const pid of await readdir("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    const environment = await readFile(`/proc/${pid}/environ`, "latin1").catch(() => "");
    if (/(^|\0)FARSIDE_RUN=/.test(environment)) found.push(pid);
  }
  return found;
}
