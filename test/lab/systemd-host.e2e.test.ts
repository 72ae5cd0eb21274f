import { afterAll, beforeAll, expect, test } from "vitest";
import { describeLab } from "../support/describe-lab.ts";
import { JUMP_LOGIN } from "../support/farside.ts";
import { waitFor } from "../support/wait-for.ts";
import { type Lab, startLab } from "./lab.ts";

describeLab("a jump host with systemd", () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await startLab({ card: false, jumpInit: "systemd" });
    await lab.workstation.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/root/.ssh/id_ed25519"]);
    await lab.authorize(await lab.workstation.readFile("/root/.ssh/id_ed25519.pub"));
  });
  afterAll(() => lab.close());

  const ssh = (command: string) => lab.workstation.run(["ssh", "-o", "BatchMode=yes", JUMP_LOGIN, command]);
  const isManagerUp = async () =>
    (await lab.jump.exec(["test", "-e", "/run/user/1500/systemd/private"])).code === 0;

  test("has come up whole, and gives a login a session and a manager of its own, as a real one does", async () => {
    expect(await lab.jump.run(["systemctl", "is-system-running"])).toBe("running\n");
    const script = "echo $XDG_RUNTIME_DIR; systemctl --user is-system-running --wait; cat /proc/self/cgroup";
    const lines = (await ssh(script)).trim().split("\n");
    expect(lines.slice(0, 2)).toEqual(["/run/user/1500", "running"]);
    expect(lines.at(-1)).toMatch(/^0::\/user\.slice\/user-1500\.slice\/session-\w+\.scope$/);
  });

  test("ends what a user runs with their last login, but for lingering", async () => {
    await waitFor(async () => !(await isManagerUp()), {
      what: "the end of the user's manager",
      withinMs: 30_000,
    });
    await lab.jump.run(["loginctl", "enable-linger", "builder"]);
    await waitFor(isManagerUp, { what: "the manager of a lingering user" });
    await ssh("systemd-run --user --unit=stays sh -c 'echo it stays; exec sleep 1000'");
    expect(await ssh("systemctl --user is-active stays")).toBe("active\n");
    const journal = () => ssh("journalctl --user -u stays -o cat --no-pager");
    await waitFor(async () => (await journal()).includes("it stays"), {
      what: "a line in the user's journal",
    });
    await lab.jump.run(["systemctl", "restart", "user@1500.service"]);
    await waitFor(isManagerUp, { what: "the new manager" });
    expect((await lab.jump.exec(["pgrep", "-f", "sleep 1000"])).code).toBe(1);
  });
});
