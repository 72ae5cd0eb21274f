import { writeFile } from "node:fs/promises";
import type { CodedError } from "@farside/protocol";
import { fingerprint } from "@farside/ssh";
import {
  type KeyPair,
  makeKeyPair,
  program,
  type Sshd,
  type SshdOptions,
  startSshd,
} from "@farside/ssh/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { deployAndForward } from "../../deploy-and-forward.ts";
import type { ForwardOptions } from "../../forward-options.ts";
import { buildAgent } from "../../testing/build-agent.ts";
import { startEchoServer } from "../../testing/echo-server.ts";
import { type JumpHost, startJumpHost } from "../../testing/jump-host.ts";
import { boundPort, eventsNamed, exchange } from "../../testing/session-probe.ts";

let host: JumpHost;
let authority: KeyPair;
let stranger: KeyPair;
beforeAll(async () => {
  host = await startJumpHost(undefined);
  [authority, stranger] = await Promise.all([
    makeKeyPair(host.sshd.folder.file("authority")),
    makeKeyPair(host.sshd.folder.file("stranger")),
  ]);
});
afterAll(() => host?.[Symbol.asyncDispose]());

const clean = { processes: [], listeners: [], files: [], clean: true };
const keyOf = ({ line }: { readonly line: string }) => line.split(" ").slice(0, 2).join(" ");
const place = ({ user, port }: Sshd) => `${user}@127.0.0.1:${port}`;

/** A target whose host key is certified for this address, unless `args` of ssh-keygen say otherwise. */
function certifiedHost(
  { by = authority, args = ["-n", "127.0.0.1"] }: { by?: KeyPair; args?: readonly string[] } = {},
  more: Partial<SshdOptions> = {},
): Promise<Sshd> {
  return startSshd({
    ...{ authorizedKeys: [host.sshd.userKey.line], ...more },
    certify: async ({ path }) => {
      await program("ssh-keygen", ["-q", "-s", by.path, "-I", "id", "-h", ...args, `${path}.pub`]);
      return `${path}-cert.pub`;
    },
  });
}

/** Options of a session through `target`, with the jump host and `lines` in known_hosts. */
async function optionsOf(target: Sshd, lines: readonly string[], more: Partial<ForwardOptions> = {}) {
  const file = host.sshd.folder.file(`known_hosts-${target.port}`);
  const jump = `[127.0.0.1]:${host.sshd.port} ${keyOf(host.sshd.hostKeys[0] ?? { line: "" })}`;
  await writeFile(file, [jump, ...lines, ""].join("\n"));
  const options = { engine: "openssh", remoteNode: undefined, via: place(target), knownHostsFiles: [file] };
  return host.options({ ...options, ...more } as Partial<ForwardOptions>);
}

async function failureOf(target: Sshd, lines: readonly string[], more: Partial<ForwardOptions> = {}) {
  const options = await optionsOf(target, lines, more);
  const error = await deployAndForward(options).then(
    async (session) => {
      await session.close();
      return undefined;
    },
    (reason: CodedError) => reason,
  );
  const { code, leg, message, hint } = error ?? {};
  const receipt = eventsNamed(options.events, "receipt")[0];
  return { code, leg, message, hint, receipt, signs: eventsNamed(options.events, "sign") };
}

async function expectWorks(target: Sshd, lines: readonly string[], more: Partial<ForwardOptions> = {}) {
  await using echo = await startEchoServer();
  const options = await optionsOf(target, lines, { forwards: `0:127.0.0.1:${echo.port}`, ...more });
  await using session = await deployAndForward(options);
  expect(await exchange(boundPort(session), "hello")).toBe("hello");
  expect(await session.close()).toMatchObject({ failure: undefined, receipt: clean });
  expect(eventsNamed(options.events, "sign")).toMatchObject([{ decision: "signed" }]);
  const own = fingerprint(target.hostKeys[0]?.publicKey.blob ?? new Uint8Array());
  expect(eventsNamed(options.events, "hop.connected")[1]).toMatchObject({ leg: "hop", hostKey: own });
}

describe("a target with a host certificate", () => {
  it("is logged in to by the authority of known_hosts", async () => {
    await using target = await certifiedHost({}, { hostKeys: ["ecdsa-384"] });
    await expectWorks(target, [`@cert-authority [127.0.0.1]:* ${keyOf(authority)}`]);
  });

  it("is known by its name alone, behind another hop too", async () => {
    await using target = await certifiedHost();
    await using first = await startSshd({ authorizedKeys: [host.sshd.userKey.line] });
    const lines = [
      `@cert-authority * ${keyOf(authority)}`,
      `[127.0.0.1]:${first.port} ${keyOf(first.hostKeys[0] ?? { line: "" })}`,
    ];
    await using echo = await startEchoServer();
    const options = await optionsOf(target, lines, {
      via: [place(first), place(target)],
      forwards: `0:127.0.0.1:${echo.port}`,
    });
    await using session = await deployAndForward(options);
    expect(await exchange(boundPort(session), "hello")).toBe("hello");
    expect(eventsNamed(options.events, "sign").map(({ hop }) => hop)).toEqual([place(first), place(target)]);
    expect(await session.close()).toMatchObject({ failure: undefined, receipt: clean });
  });

  it("is logged in to by its plain key where that is known, whoever certified it", async () => {
    await using target = await certifiedHost(
      { by: stranger, args: ["-n", "elsewhere"] },
      { hostKeys: ["ecdsa-256", "ed25519"] },
    );
    const own = `[127.0.0.1]:${target.port} ${keyOf(target.hostKeys[0] ?? { line: "" })}`;
    await expectWorks(target, [own]);
    await expectWorks(target, [own, `@cert-authority * ${keyOf(authority)}`]);
    await using one = await certifiedHost({ by: stranger });
    const pin = fingerprint(one.hostKeys[0]?.publicKey.blob ?? new Uint8Array());
    await expectWorks(one, [], { viaHostKeys: [`127.0.0.1=${pin}`] });
  });

  it("is unknown to the agent, which says what can log in there", async () => {
    await using agent = await buildAgent();
    await using target = await certifiedHost();
    const lines = [`@cert-authority * ${keyOf(authority)}`];
    const byAgent = { engine: "ssh2", bundle: agent.bundle, remoteNode: process.execPath } as const;
    const { signs, ...failure } = await failureOf(target, lines, byAgent);
    expect(failure).toMatchObject({ code: "host-key.unknown", leg: "hop" });
    expect(failure.hint).toMatch(/--engine openssh/);
    expect(signs).toEqual([]);
  });

  const line = () => `@cert-authority * ${keyOf(authority)}`;
  const refusals: Record<
    string,
    () => {
      made: Parameters<typeof certifiedHost>[0];
      lines: (target: Sshd) => string[];
      code: string;
      says: RegExp;
    }
  > = {
    "by an authority that is not known": () => ({
      made: { by: stranger },
      lines: () => [line()],
      ...{ code: "host-key.unknown", says: /no certificate of an authority that known_hosts has/ },
    }),
    "by an authority of other hosts": () => ({
      made: {},
      lines: () => [`@cert-authority *.example.org ${keyOf(authority)}`],
      ...{ code: "host-key.unknown", says: /its host key is unknown/ },
    }),
    "for another principal": () => ({
      made: { args: ["-n", "elsewhere"] },
      lines: () => [line()],
      ...{ code: "host-key.certificate-invalid", says: /name is not a listed principal/ },
    }),
    "that has expired": () => ({
      made: { args: ["-n", "127.0.0.1", "-V", "-2d:-1d"] },
      lines: () => [line()],
      ...{ code: "host-key.certificate-invalid", says: /expired/ },
    }),
    "whose key is revoked": () => ({
      made: {},
      lines: (target) => [line(), `@revoked * ${keyOf(target.hostKeys[0] ?? { line: "" })}`],
      ...{ code: "host-key.revoked", says: /@revoked/ },
    }),
    "whose authority is revoked": () => ({
      made: {},
      lines: () => [line(), `@revoked * ${keyOf(authority)}`],
      ...{ code: "host-key.unknown", says: /its host key is unknown/ },
    }),
  };
  for (const [what, make] of Object.entries(refusals)) {
    it(`${what} is refused, and nothing is signed`, async () => {
      const { made, lines, code, says } = make();
      await using target = await certifiedHost(made);
      const { signs, message, ...failure } = await failureOf(target, lines(target));
      expect(failure, message).toMatchObject({ code, leg: "hop" });
      expect(message).toMatch(says);
      expect(failure.hint).toBeTruthy();
      expect(signs).toEqual([]);
      if (failure.receipt !== undefined) expect(failure.receipt).toMatchObject(clean);
    });
  }
});
