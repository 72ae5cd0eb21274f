import { afterAll, beforeAll, expect, test } from "vitest";
import { type Lab, startLab } from "./lab/lab.ts";
import { holdConnection } from "./support/byte-traffic.ts";
import { describeLab } from "./support/describe-lab.ts";
import { startEcho } from "./support/echo-service.ts";
import { expectError } from "./support/expect-error.ts";
import { JUMP_LOGIN, runFarside } from "./support/farside.ts";
import { killLogin } from "./support/interrupted-transfer.ts";
import { waitFor } from "./support/wait-for.ts";

const KEY = "/root/.ssh/id_ed25519";
const UID = 1500;

describeLab("an agent that outlives its login, where systemd-logind looks after logins", () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await startLab({ card: false, jumpInit: "systemd" });
    await lab.workstation.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", KEY]);
    await lab.authorize(await lab.workstation.readFile(`${KEY}.pub`));
    await startEcho(lab.jump, 4444);
  });
  afterAll(() => lab.close());

  const forward = () =>
    runFarside(
      lab,
      ["forward", JUMP_LOGIN, "-L", "4600:localhost:4444", "--identity", KEY, "--reattach", "--lease", "30"],
      { pin: false },
    );
  const killsUserProcesses = async (kills: "yes" | "no") => {
    await lab.jump.run(["mkdir", "-p", "/etc/systemd/logind.conf.d"]);
    await lab.jump.writeFile("/etc/systemd/logind.conf.d/kill.conf", `[Login]\nKillUserProcesses=${kills}\n`);
    await lab.jump.run(["systemctl", "restart", "systemd-logind"]);
  };
  const agentFacts = async () => {
    const pid = (await lab.jump.run(["pgrep", "-f", "^farside-agent "])).trim();
    const sockets = await lab.jump.exec([
      "sh",
      "-c",
      `ls /run/user/${UID}/farside /tmp/farside-${UID} 2>/dev/null`,
    ]);
    return { cgroup: await lab.jump.readFile(`/proc/${pid}/cgroup`), sockets: sockets.stdout };
  };
  /** Loses the login, and sees the forward go on. */
  const outlive = async () => {
    await using farside = forward();
    await farside.ready();
    const facts = await agentFacts();
    const client = await holdConnection(lab.jump, 4600);
    await killLogin(lab);
    await farside.waitForEvent("reattached");
    expect(client.hasEnded).toBe(false);
    client.stdin.end();
    await client.exit;
    const { exit, receipt } = await farside.end();
    expect(exit.code, farside.transcript).toBe(0);
    expect(receipt).toMatchObject({ clean: true });
    return facts;
  };

  test("it is enough that logind lets processes be, and the socket is not where it would go with the login", async () => {
    await killsUserProcesses("no");
    const { cgroup, sockets } = await outlive();
    expect(cgroup).toMatch(/session-\w+\.scope/);
    expect(sockets).toContain(`/tmp/farside-${UID}:`);
  });

  test("where logind ends them and lingering is off, it says what to turn on", async () => {
    await killsUserProcesses("yes");
    await using farside = forward();
    const hint = /loginctl enable-linger builder/;
    await expectError(farside, {
      code: "agent.would-not-survive",
      leg: "jump",
      says: /KillUserProcesses=yes/,
      hint,
    });
  });

  test("with lingering on, the user's manager has it", async () => {
    await lab.jump.run(["loginctl", "enable-linger", "builder"]);
    const manager = ["test", "-e", `/run/user/${UID}/systemd/private`];
    await waitFor(async () => (await lab.jump.exec(manager)).code === 0, { what: "the user's manager" });
    const { cgroup, sockets } = await outlive();
    expect(cgroup).toMatch(/user@1500\.service.*farside-agent-\w+\.scope/);
    expect(sockets).toContain(`/run/user/${UID}/farside:`);
  });
});
