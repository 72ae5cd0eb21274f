import { startLab } from "../lab/lab.ts";
import { installProgram } from "../lab/program.ts";
import { cliPath, JUMP_LOGIN, TARGET_LOGIN } from "../support/farside.ts";
import { isNothing, whatStays } from "../support/leftovers.ts";
import { CTRL_C, Terminal } from "../support/pty.ts";
import { quietNow } from "../support/quiet-time.ts";
import { waitFor, within } from "../support/wait-for.ts";
import { bytesText, CheckList, dim, heading, plain, say, Transcript } from "./show.ts";

const PIN = "123456";
const RELEASE_BYTES = 64 * 1024 * 1024;

/** The main job on three real hosts. Returns whether everything was as promised. */
export async function labDemo(): Promise<boolean> {
  say("Three hosts on this machine, each with a network, processes and files of its own:\n");
  say("  workstation            jump host                 target");
  say("  172.16.16.1     ──►    172.16.16.158      ──►    172.16.16.160");
  say("  smart card             the build runs here       signing service on its localhost:4444");
  say(dim("\n  starting them, and the card in its reader (pcscd, OpenSC, a virtual PIV card) …"));
  await using lab = await startLab();

  const service = lab.target.spawn(await installProgram(lab.target, "signing-service"), { user: "signer" });
  const publicKey = await waitFor(() => /-----END PUBLIC KEY-----/.test(service.stdout) && service.stdout, {
    what: "the signing service",
    detail: () => service.stderr,
  });
  const buildJob = await installProgram(lab.jump, "build-job");
  await lab.jump.writeFile("/home/builder/signing.pub", publicKey, { user: "builder" });
  await lab.jump.run(["sh", "-c", `head -c ${RELEASE_BYTES} /dev/urandom > release.tar`], {
    user: "builder",
  });
  await lab.jump.mark();
  await lab.card.resetCounters();
  const bytesBefore = await lab.workstationBytes();

  heading("On the workstation: one command, one PIN");
  const command = `forward ${JUMP_LOGIN} -L 4444:localhost:4444 --via ${TARGET_LOGIN}`;
  say(`  $ farside ${command}`);
  await using terminal = Terminal.start(lab, `node ${cliPath} ${command}`);
  const transcript = new Transcript();
  terminal.process.output.on("data", (text: string) => transcript.take(text));
  await Promise.race([terminal.waitForText(/PIN/), terminal.exit]);
  terminal.type(`${PIN}\r`);
  const isReady = await Promise.race([
    terminal.waitForText(/ready/i).then(() => true),
    terminal.exit.then(() => false),
  ]);
  const list = new CheckList();
  if (!isReady) {
    transcript.end();
    list.check("the forward opens", "no", false);
    return false;
  }

  heading("On the jump host: a build job signs a file through localhost:4444");
  say(`  $ build-job release.tar signing.pub localhost:4444`);
  const job = await lab.jump.exec([...buildJob, "release.tar", "signing.pub", "localhost:4444"], {
    user: "builder",
    timeoutMs: 120_000,
  });
  for (const line of `${job.stdout}${job.stderr}`.trimEnd().split("\n")) say(`  ${dim("│")} ${line}`);

  heading("On the workstation: Ctrl-C");
  const stopped = { at: performance.now(), quietAt: quietNow() };
  terminal.type(CTRL_C);
  const { code } = await within(terminal.exit, 30_000, "the end of farside");
  const teardownMs = performance.now() - stopped.at;
  const isInTime = quietNow() - stopped.quietAt < 15_000;
  transcript.end();

  const bytes = (await lab.workstationBytes()) - bytesBefore;
  const card = await lab.card.counters();
  const signatures = Object.values(card.signs).reduce((sum, count) => sum + count, 0);
  const residue = await whatStays(lab.jump);
  const count = `${residue.processes.length} processes, ${residue.listeners.length} listeners, ${residue.files.length} files`;

  heading("What happened");
  list.check("the signature was made and verified", job.code === 0 ? "yes" : "no", job.code === 0);
  list.check("PIN verifications, as the card counts", String(card.verifies), card.verifies === 1);
  list.check("signatures, as the card counts", String(signatures), signatures === 2);
  list.check(
    "over the workstation's link",
    `${bytesText(bytes)}, while ${bytesText(RELEASE_BYTES)} went to the signing service`,
    bytes < 1024 * 1024,
  );
  list.check("exit status of farside", String(code), code === 0);
  list.check("torn down within", `${(teardownMs / 1e3).toFixed(1)} s`, isInTime);
  list.check("left on the jump host, looked at from outside", count, isNothing(residue));
  for (const item of [...residue.processes, ...residue.listeners, ...residue.files]) say(`      ${item}`);
  list.check(
    "the PIN on the screen",
    plain(terminal.text).includes(PIN) ? "yes" : "no",
    !terminal.text.includes(PIN),
  );
  return list.areAllKept;
}
