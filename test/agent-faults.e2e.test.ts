import { encodeFrame, type WireValue } from "@farside/protocol";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { type Lab, startLab } from "./lab/lab.ts";
import { describeLab } from "./support/describe-lab.ts";
import { expectError } from "./support/expect-error.ts";
import { type FarsideRun, mainJob, runFarside } from "./support/farside.ts";
import { expectNothingLeft } from "./support/leftovers.ts";

/** What a node on a hostile jump host can say instead of running the agent: a shell script that the bootstrap takes for node. */
const fakeNode = (script: string): string => `#!/bin/sh
if [ "$1" = -v ]; then echo v20.11.1; exit; fi
nonce=$3
${script}
`;

const PREAMBLE = `printf 'farside-preamble:%s:agent\\n' "$nonce"`;
const REST = "cat > /dev/null";

const hello = {
  protocol: { min: 1, max: 1 },
  agentVersion: "0.1.0",
  digest: "0".repeat(64),
  capabilities: [],
  pid: 4711,
  node: "20.11.1",
  platform: "linux",
  hostname: "jump",
  uid: 1500,
  user: "builder",
};
const helloFrame = (data: Record<string, WireValue>): Uint8Array =>
  encodeFrame({ kind: "event", name: "hello.agent", data });

describeLab("an agent that isn't one", () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await startLab();
  });
  afterAll(() => lab.close());
  beforeEach(() => lab.jump.mark());

  async function runWith(
    script: string,
    { frames = new Uint8Array(), options = [] }: { frames?: Uint8Array; options?: readonly string[] } = {},
  ): Promise<FarsideRun> {
    await lab.jump.writeFile("/opt/lab/node", fakeNode(script));
    await lab.jump.run(["chmod", "755", "/opt/lab/node"]);
    await lab.jump.writeFile("/opt/lab/frames", frames);
    return runFarside(lab, [...mainJob(), "--remote-node", "/opt/lab/node", ...options]);
  }

  const faults = [
    {
      name: "garbage",
      script: `${PREAMBLE}; head -c 100000 /dev/urandom; ${REST}`,
      code: "protocol.bad-message",
    },
    {
      name: "the length of an oversized frame",
      script: `${PREAMBLE}; printf '\\177\\377\\377\\377'; head -c 3000000 /dev/zero; ${REST}`,
      code: "protocol.bad-message",
    },
    {
      name: "a frame that nests too deep",
      script: `${PREAMBLE}; printf '\\000\\001\\000\\000'; head -c 65536 /dev/zero | tr '\\000' '\\221'; ${REST}`,
      code: "protocol.bad-message",
    },
    {
      name: "a truncated frame",
      script: `${PREAMBLE}; printf '\\000\\000\\001\\000abc'`,
      code: "protocol.bad-message",
    },
    { name: "nothing", script: `${PREAMBLE}; exit 1`, code: "agent.start-failed" },
    { name: "no preamble", script: "echo hello; exit 3", code: "agent.start-failed" },
    { name: "endless noise", script: "exec yes noise", code: "protocol.no-preamble" },
    {
      name: "a preamble with another nonce",
      script: "echo farside-preamble:0000:agent; exit 0",
      code: "protocol.no-preamble",
    },
  ] as const;
  for (const { name, script, code } of faults) {
    test(`that says ${name} is ${code}, and nothing is left of it`, async () => {
      await using farside = await runWith(script);
      await expectError(farside, { code, leg: "jump" });
      await expectNothingLeft(lab.jump);
    });
  }

  test("that falls silent is a timeout", async () => {
    const options = ["--start-timeout", "8"];
    await using farside = await runWith(`${PREAMBLE}; ${REST}`, { options });
    await expectError(farside, { code: "timeout" });
    await expectNothingLeft(lab.jump);
  });

  test("that speaks another protocol version only is refused with both versions", async () => {
    const frames = helloFrame({ ...hello, protocol: { min: 700, max: 701 } });
    await using farside = await runWith(`${PREAMBLE}; cat /opt/lab/frames; ${REST}`, { frames });
    await expectError(farside, { code: "protocol.version", says: /700/ });
    await expectNothingLeft(lab.jump);
  });

  test("that asks for a signature before anything was declared gets none", async () => {
    await lab.card.resetCounters();
    const ask = encodeFrame({
      kind: "request",
      id: 1,
      name: "identity.sign",
      params: {
        hopId: "1",
        data: new Uint8Array(200),
        hostKey: new Uint8Array(51),
        serverSignature: new Uint8Array(83),
      },
    });
    const frames = Buffer.concat([helloFrame(hello), ask]);
    await using farside = await runWith(`${PREAMBLE}; cat /opt/lab/frames; ${REST}`, { frames });
    await farside.exit;
    const { signs } = await lab.card.counters();
    expect(Object.values(signs).reduce((sum, count) => sum + count, 0)).toBe(1);
    expect(farside.of("sign").filter(({ decision }) => decision === "signed").length).toBeLessThan(2);
    await expectNothingLeft(lab.jump);
  });

  test("that prints escape sequences in its name reaches no terminal with them", async () => {
    const frames = helloFrame({ ...hello, hostname: "\u001b]0;owned\u0007", agentVersion: "\u001b[31m1" });
    await lab.jump.writeFile("/opt/lab/node", fakeNode(`${PREAMBLE}; cat /opt/lab/frames; ${REST}`));
    await lab.jump.writeFile("/opt/lab/frames", frames);
    await using farside = runFarside(lab, [...mainJob(), "--remote-node", "/opt/lab/node"], { json: false });
    await farside.exit;
    expect(farside.process.stderr).not.toContain("\u001b");
  });

  test("whose bundle was tampered with on the way is not run", async () => {
    const flip =
      "let n=0;process.stdin.on(`data`,(d)=>{const i=20000-n;if(i>=0&&i<d.length)d[i]^=1;n+=d.length;process.stdout.write(d)})";
    await using farside = await runWith(`node -e '${flip}' | node "$@"`);
    await expectError(farside, { code: "agent.digest-mismatch", leg: "jump" });
    await expectNothingLeft(lab.jump);
  });

  test("a login that prints to stdout and reads stdin first doesn't matter", async () => {
    const bashrc = await lab.jump.readFile("/home/builder/.bashrc");
    const noise = 'printf "Welcome, no newline at the end"; read -r answer; printf "farside-preamble:"\n';
    await lab.jump.writeFile("/home/builder/.bashrc", `${noise}${bashrc}`, { user: "builder" });
    await lab.jump.mark();
    try {
      await using farside = runFarside(lab, mainJob());
      await farside.ready();
      expect((await farside.end()).exit.code).toBe(0);
      await expectNothingLeft(lab.jump);
    } finally {
      await lab.jump.writeFile("/home/builder/.bashrc", bashrc, { user: "builder" });
    }
  });
});
