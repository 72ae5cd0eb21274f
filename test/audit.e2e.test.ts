import { afterAll, beforeAll, expect, test } from "vitest";
import { type Lab, startLab } from "./lab/lab.ts";
import { exchangeBytes, startByteService } from "./support/byte-traffic.ts";
import { describeLab } from "./support/describe-lab.ts";
import { cliPath, mainJob, runFarside } from "./support/farside.ts";
import { waitFor } from "./support/wait-for.ts";

const FOLDER = "/root/.local/state/farside";
const LOG = `${FOLDER}/audit.jsonl`;

interface Line {
  readonly event: string;
  readonly seq: number;
  readonly [field: string]: unknown;
}

describeLab("the audit log", () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await startLab();
  });
  afterAll(() => lab.close());

  /** Those that are whole: it may be read while it is written to. */
  const lines = async () =>
    (await lab.workstation.readFile(LOG))
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Line);
  const verify = (...args: string[]) =>
    lab.workstation.exec(["node", cliPath, "audit", "verify", "--json", ...args]);
  const shell = (script: string) => lab.workstation.run(["sh", "-c", script]);

  test("has the whole of a session, and shows what is done to it afterwards", async () => {
    await using service = await startByteService(lab.target, "4444", 5);
    await using farside = runFarside(lab, [...mainJob(), "--name", "audited"]);
    await farside.ready();
    await exchangeBytes(lab.jump, "127.0.0.1:4444", { bytes: 3, streams: 1 });
    await farside.waitForEvent("relay.close");
    const intruder = ["node", "-e", 'net.connect(4444, "127.0.0.1").on("error", () => {})'];
    await lab.jump.exec(intruder, { user: "intruder" });
    await farside.waitForEvent("relay.refused");
    expect((await farside.end()).exit.code).toBe(0);
    await service.kill();

    const log = await lines();
    expect(log.map(({ event }) => event)).toEqual([
      ...["card-login", "login", "deploy", "agent", "sign", "login", "bind"],
      ...["relay", "refused", "teardown"],
    ]);
    expect(new Set(log.map(({ session, host }) => `${session} ${host}`))).toEqual(
      new Set(["audited builder@172.16.16.158"]),
    );
    const find = (event: string) => log.find((line) => line.event === event);
    expect(find("relay")).toMatchObject({ uid: 1500, bytesIn: 3, bytesOut: 5, reason: "end" });
    expect(find("refused")).toMatchObject({ uid: 1501 });
    expect(find("sign")).toMatchObject({ hop: "signer@172.16.16.160:22", decision: "signed" });
    expect(find("bind")).toMatchObject({ bind: ["127.0.0.1:4444", "[::1]:4444"], target: "localhost:4444" });
    expect(find("teardown")).toMatchObject({ clean: true, processes: [], listeners: [], files: [] });
    expect(await shell(`stat -c %a ${LOG}`)).toBe("600\n");

    const good = await verify();
    const report = JSON.parse(good.stdout) as { last: { seq: number; hash: string } };
    expect(good.code, good.stderr).toBe(0);
    expect(report).toMatchObject({ ok: true, findings: [], last: { seq: 10 } });
    const kept = `${report.last.seq}:${report.last.hash}`;

    await shell(`cp -r ${FOLDER} /root/kept && sed -i 's/"uid":1501/"uid":1500/' ${LOG}`);
    const changed = await verify();
    expect([changed.code, JSON.parse(changed.stdout).findings[0].kind]).toEqual([77, "changed"]);
    expect(changed.stderr).toContain("error[audit.broken]");
    // As if nothing had ever been: only what was kept elsewhere shows it.
    await shell(`rm -r ${FOLDER}/audit.*`);
    expect((await verify()).code).toBe(78);
    await shell(`head -n 3 /root/kept/audit.jsonl > ${LOG}`);
    expect(JSON.parse((await verify()).stdout)).toMatchObject({ ok: true, unproven: [{}, {}] });
    expect(JSON.parse((await verify("--head", kept)).stdout)).toMatchObject({
      findings: [{ kind: "missing", seq: 4 }],
    });
  });

  test("of sessions that run at the same time, one of which is killed, is one chain", async () => {
    await shell(`rm -rf ${FOLDER}/audit.*`);
    const runs = [4501, 4502, 4503].map((port) =>
      runFarside(lab, [...mainJob(port), "--name", `par-${port}`]),
    );
    await Promise.all(runs.map((run) => run.ready()));
    const [killed, ...others] = runs;
    await waitFor(async () => (await lines()).filter(({ event }) => event === "bind").length === 3, {
      what: "the lines",
    });
    await killed?.signal("SIGKILL");
    await killed?.exit;
    for (const { exit } of await Promise.all(others.map((run) => run.end()))) expect(exit.code).toBe(0);
    const teardown = await lab.workstation.exec(
      ["node", cliPath, "teardown", "--all", "--pin-source", "fd:3"],
      { env: lab.cardEnvironment, descriptors: [`${lab.pin}\n`] },
    );
    expect(teardown.code, teardown.stderr).toBe(0);
    expect(JSON.parse((await verify()).stdout)).toMatchObject({ ok: true });
    const ended = (await lines()).filter(({ event }) => event === "teardown").map(({ session }) => session);
    expect(ended.sort()).toEqual(["par-4501", "par-4502", "par-4503"]);
  });
});
