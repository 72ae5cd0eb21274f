import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { type Lab, startLab } from "./lab/lab.ts";
import type { ExecResult } from "./lab/lab-process.ts";
import { describeLab } from "./support/describe-lab.ts";
import { cliPath, JUMP_LOGIN, TARGET_LOGIN } from "./support/farside.ts";
import { expectNothingLeft } from "./support/leftovers.ts";
import { headings, recipe, scriptsIn } from "./support/recipes.ts";
import { waitFor } from "./support/wait-for.ts";

/** What each service sets for its jobs. */
const ENVIRONMENT = {
  JUMP: JUMP_LOGIN,
  TARGET: TARGET_LOGIN,
  CI_JOB_ID: "1234",
  GITHUB_RUN_ID: "5678",
  RUNNER_TEMP: "/tmp/runner",
  BUILD_TAG: "jenkins-sign-9",
};
/** As each service runs a script of its. */
const SHELLS: Record<string, readonly string[]> = {
  "GitLab CI": ["bash", "-eo", "pipefail", "-c"],
  "GitHub Actions": ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c"],
  Jenkins: ["sh", "-xe", "-c"],
};
const MAKEFILE = (command: string) => `sign:\n\t@${command}\n`;
const SIGN = "exec 3<>/dev/tcp/localhost/4444 && echo signed >&3 && head -n 1 <&3";

describeLab("docs/recipes.md", () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await startLab({ card: false });
    await lab.workstation.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/root/.ssh/id_ed25519"]);
    await lab.authorize((await lab.workstation.readFile("/root/.ssh/id_ed25519.pub")).trim());
    const wrapper = `#!/bin/sh\nexec node ${cliPath} "$@"\n`;
    await lab.workstation.writeFile("/usr/local/bin/farside", wrapper);
    await lab.workstation.run(["chmod", "755", "/usr/local/bin/farside"]);
    await lab.workstation.writeFile("/root/recipe/Makefile", recipe("A Makefile"));
    await lab.workstation.writeFile("/root/recipe/script", recipe("A bash script"));
    await lab.workstation.run(["mkdir", "-p", ENVIRONMENT.RUNNER_TEMP]);
    const echo = lab.target.spawn([
      "node",
      "-e",
      "net.createServer((s) => s.on(`error`, () => {}).pipe(s)).listen(4444, `127.0.0.1`, () => console.log(`listening`))",
    ]);
    await waitFor(() => echo.stdout.includes("listening"), { what: "the echo service" });
  });
  afterAll(() => lab.close());
  beforeEach(async () => {
    await lab.workstation.exec(["rm", "-f", `${ENVIRONMENT.RUNNER_TEMP}/ready.json`]);
  });

  /** What the build server's Makefile does; then it is looked at what is left. */
  const signing = async (command: string) => {
    const makefile = `SHELL=/bin/bash\n${MAKEFILE(command)}`;
    await lab.jump.writeFile("/home/builder/Makefile", makefile, { user: "builder" });
    await lab.jump.mark();
  };

  const commands: Record<string, readonly (readonly string[])[]> = {
    "A bash script": [["bash", "script"]],
    "A Makefile": [["make", "sign"]],
  };
  for (const [heading, shell] of Object.entries(SHELLS)) {
    commands[heading] = scriptsIn(recipe(heading)).map((script) => [...shell, script]);
  }
  /** Where one of its scripts may be killed before the others: these have one that always runs. */
  const always = Object.keys(SHELLS);

  const runAll = async (argvs: readonly (readonly string[])[]): Promise<ExecResult[]> => {
    const results: ExecResult[] = [];
    for (const argv of argvs) {
      const options = { cwd: "/root/recipe", env: ENVIRONMENT, timeoutMs: 60_000 };
      results.push(await lab.workstation.exec(argv, options));
    }
    return results;
  };

  test("has no recipe that is not tested", () => {
    expect(headings).toEqual(Object.keys(commands));
    expect(Object.values(commands).map(({ length }) => length)).toEqual([1, 1, 2, 3, 2]);
  });

  test.each(Object.keys(commands))("%s: signs, and leaves nothing", async (heading) => {
    await signing(SIGN);
    const results = await runAll(commands[heading] ?? []);
    const said = results.map(({ stdout, stderr }) => stdout + stderr).join("");
    expect(
      results.map(({ code }) => code),
      said,
    ).toEqual(results.map(() => 0));
    expect(said).toMatch(/^signed$/m);
    await expectNothingLeft(lab.jump);
  });

  test.each(Object.keys(commands))(
    "%s: a step that fails is its failure, and leaves nothing",
    async (heading) => {
      await signing("exit 3");
      const results = await runAll(commands[heading] ?? []);
      expect(results.some(({ code }) => code !== 0)).toBe(true);
      if (always.includes(heading)) expect(results.at(-1)?.code).toBe(0);
      await expectNothingLeft(lab.jump);
    },
  );

  test.each(Object.keys(commands))("%s: killed in its middle, it leaves nothing", async (heading) => {
    await signing("echo busy; sleep 300");
    const argvs = commands[heading] ?? [];
    const last = always.includes(heading) ? argvs.slice(-1) : [];
    const steps = last.length > 0 ? argvs.slice(0, -1) : argvs;
    await runAll(steps.slice(0, -1));
    const step = lab.workstation.spawn(steps.at(-1) ?? [], { cwd: "/root/recipe", env: ENVIRONMENT });
    await waitFor(() => step.stdout.includes("busy"), {
      what: "the signing",
      withinMs: 30_000,
      detail: () => step.stdout + step.stderr,
    });
    if (last.length > 0) {
      await step.kill();
      // A service ends what a job has left; its teardown finds nothing alive.
      await lab.workstation.exec(["pkill", "-KILL", "-f", "cli/dist/main.js forward"]);
    } else {
      await step.signal("SIGTERM");
      // Whoever waits for a child takes the signal after it.
      await lab.workstation.exec(["pkill", "-TERM", "-f", "cli/dist/main.js run|ssh builder@.* make"]);
    }
    await step.exit;
    const results = await runAll(last);
    expect(results.map(({ code, stderr }) => [code, code === 0 ? "" : stderr])).toEqual(
      last.map(() => [0, ""]),
    );
    await lab.jump.exec(["pkill", "-f", "^sleep 300"]);
    await expectNothingLeft(lab.jump);
  });
});
