import { chmod, readFile, writeFile } from "node:fs/promises";
import { homedir, userInfo } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { HostConfig } from "./host-config.ts";
import { type ResolveOptions, resolveHost } from "./resolve-host.ts";
import { failureOf } from "./testing/failure-of.ts";
import { type TemporaryFolder, temporaryFolder } from "./testing/temporary-folder.ts";

let folder: TemporaryFolder;
let configFile: string;
let number = 0;

beforeAll(async () => {
  folder = await temporaryFolder();
});
afterAll(async () => {
  await folder[Symbol.asyncDispose]();
});
beforeEach(() => {
  configFile = folder.file(`config-${++number}`);
});

async function resolved(text: string, alias: string, options: ResolveOptions = {}): Promise<HostConfig> {
  await writeFile(configFile, text);
  return resolveHost(alias, { configFile, ...options });
}

/** Both readers: ssh itself, and the library for machines without it. */
const readers = [
  ["ssh -G", {}],
  ["the ssh-config library", { sshProgram: "/nonexistent/ssh" }],
] as const;

describe.each(readers)("by %s", (_reader, reader) => {
  test("a host that is not configured has ssh's defaults and no warnings", async () => {
    const config = await resolved("", "plain.example", reader);
    expect(config).toMatchObject({
      alias: "plain.example",
      hostName: "plain.example",
      user: userInfo().username,
      port: 22,
      hostKeyAlias: undefined,
      proxyJump: [],
      proxyCommand: undefined,
      identitiesOnly: false,
      identityAgent: undefined,
      pkcs11Provider: undefined,
      strictHostKeyChecking: "ask",
      hashKnownHosts: false,
      batchMode: false,
      addressFamily: undefined,
      connectTimeoutMs: undefined,
      serverAliveIntervalMs: undefined,
      unsupported: [],
    });
    expect(config.identityFiles).toContain(join(homedir(), ".ssh/id_ed25519"));
    expect(config.userKnownHostsFiles).toEqual(
      ["known_hosts", "known_hosts2"].map((name) => join(homedir(), ".ssh", name)),
    );
    expect(config.globalKnownHostsFiles).toContain("/etc/ssh/ssh_known_hosts");
  });

  test("the system's own configuration gives no warnings", async () => {
    // Debian's sets SendEnv, HashKnownHosts and GSSAPIAuthentication.
    const config = await resolveHost("plain.example", { ...reader });
    expect(config.unsupported).toEqual([]);
  });

  test("what is configured is kept", async () => {
    const config = await resolved(
      `Host build
  HostName 172.16.16.158
  User builder
  Port 2222
  HostKeyAlias build-key
  ProxyJump a@first:2200,second
  IdentityFile ~/.ssh/id_build
  IdentityFile /keys/with%%percent
  IdentitiesOnly yes
  IdentityAgent ~/agent.sock
  PKCS11Provider /usr/lib/opensc-pkcs11.so
  UserKnownHostsFile ~/kh1 /kh2
  GlobalKnownHostsFile /gkh
  StrictHostKeyChecking accept-new
  HashKnownHosts yes
  BatchMode yes
  AddressFamily inet6
  BindAddress 10.0.0.1
  ConnectTimeout 7
  ServerAliveInterval 15
  ServerAliveCountMax 4
  Ciphers aes256-gcm@openssh.com,aes128-ctr
`,
      "build",
      reader,
    );
    expect(config).toMatchObject({
      alias: "build",
      hostName: "172.16.16.158",
      user: "builder",
      port: 2222,
      hostKeyAlias: "build-key",
      proxyJump: ["a@first:2200", "second"],
      identitiesOnly: true,
      identityAgent: join(homedir(), "agent.sock"),
      pkcs11Provider: "/usr/lib/opensc-pkcs11.so",
      userKnownHostsFiles: [join(homedir(), "kh1"), "/kh2"],
      globalKnownHostsFiles: ["/gkh"],
      strictHostKeyChecking: "accept-new",
      hashKnownHosts: true,
      batchMode: true,
      addressFamily: 6,
      bindAddress: "10.0.0.1",
      connectTimeoutMs: 7000,
      serverAliveIntervalMs: 15_000,
      serverAliveCountMax: 4,
      unsupported: [],
    });
    expect(config.identityFiles).toEqual([join(homedir(), ".ssh/id_build"), "/keys/with%percent"]);
    expect(config.algorithms.ciphers).toEqual(["aes256-gcm@openssh.com", "aes128-ctr"]);
  });

  test("user, port and -o win over the file, and patterns apply", async () => {
    const text = "Host *.example\n  User file\n  Port 1\n  ConnectTimeout 3\n";
    const overrides = { ConnectTimeout: "9", StrictHostKeyChecking: "yes" };
    const config = await resolved(text, "a.example", { ...reader, user: "me", port: 2, overrides });
    expect(config).toMatchObject({
      user: "me",
      port: 2,
      connectTimeoutMs: 9000,
      strictHostKeyChecking: "strict",
    });
    expect(await resolved(text, "other", reader)).toMatchObject({ port: 22, user: userInfo().username });
  });

  test("a ProxyCommand has its tokens filled in", async () => {
    const text = `Host pc
  HostName real.example
  User me
  Port 77
  ProxyCommand nc -x "a b" %h %p --user=%r --alias=%n 100%%
`;
    const config = await resolved(text, "pc", reader);
    expect(config.proxyCommand).toBe('nc -x "a b" real.example 77 --user=me --alias=pc 100%');
  });

  test.each([
    ["CertificateFile ~/.ssh/cert", "CertificateFile"],
    ["GSSAPIAuthentication yes", "GSSAPIAuthentication"],
    ["ControlMaster auto", "ControlMaster"],
    ["ControlPath ~/.ssh/%r@%h", "ControlPath"],
    ["ForwardAgent yes", "ForwardAgent"],
    ["HostbasedAuthentication yes", "HostbasedAuthentication"],
    ["KnownHostsCommand /bin/true", "KnownHostsCommand"],
    ["RevokedHostKeys /tmp/none", "RevokedHostKeys"],
    ["VerifyHostKeyDNS ask", "VerifyHostKeyDNS"],
    ["RemoteCommand true", "RemoteCommand"],
    ["LocalForward 1234 host:22", "LocalForward"],
    ["RekeyLimit 1G 1h", "RekeyLimit"],
    ["PubkeyAuthentication no", "PubkeyAuthentication"],
  ])("%s is named as not supported", async (line, name) => {
    expect((await resolved(`Host x\n  ${line}\n`, "x", reader)).unsupported).toEqual([name]);
  });

  test("a value that means nothing is config.invalid and says which", async () => {
    const error = await failureOf(resolved("Host x\n  Port many\n", "x", reader));
    expect(error).toMatchObject({ code: "config.invalid" });
    expect(error.message).toContain("x");
    expect(error.message.toLowerCase()).toMatch(/port|bad number/u);
  });

  test("a file that is named and missing is config.invalid", async () => {
    const error = await failureOf(resolveHost("x", { configFile: folder.file("missing"), ...reader }));
    expect(error).toMatchObject({ code: "config.invalid" });
    expect(error.message).toContain("missing");
  });
});

test.each(["", "-oProxyCommand=touch", "a b", "a\nb"])("%j is not a host name", async (alias) => {
  expect(await failureOf(resolveHost(alias))).toMatchObject({ code: "config.invalid" });
});

test("Match and Include are ssh's to read", async () => {
  const included = folder.file("included");
  await writeFile(included, "Host *\n  User included\n");
  const config = await resolved(`Match host inc exec "true"\n  Port 99\nInclude ${included}\n`, "inc");
  expect(config).toMatchObject({ port: 99, user: "included" });
});

describe.each(readers)("by %s", (_reader, reader) => {
  test.each(["a;touch /tmp/x", "$(id)", "a`id`", "-rf"])(
    "a user %j never reaches the shell of a ProxyCommand",
    async (user) => {
      const text = "Host pc\n  ProxyCommand nc -u %r %h\n";
      const error = await failureOf(resolved(text, "pc", { ...reader, user }));
      expect(error).toMatchObject({ code: "config.invalid" });
    },
  );
});

test("an ssh that hangs is ended with all that it started when the signal aborts", async () => {
  const pidFile = folder.file("pid");
  const sshProgram = folder.file("hanging-ssh");
  await writeFile(sshProgram, `#!/bin/sh\nsleep 100 &\necho $! > ${pidFile}\nwait\n`);
  await chmod(sshProgram, 0o755);
  const controller = new AbortController();
  const reason = new Error("enough");
  const resolving = resolveHost("x", { sshProgram, signal: controller.signal });
  await expect.poll(() => readFile(pidFile, "utf8").catch(() => "")).toMatch(/\d+\n/u);
  controller.abort(reason);
  await expect(resolving).rejects.toBe(reason);
  const pid = Number(await readFile(pidFile, "utf8"));
  await expect.poll(() => isRunning(pid)).toBe(false);
});

async function isRunning(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  return stat !== "" && !/\) Z /u.test(stat);
}

test("an ssh that prints something else, or too much, is config.invalid", async () => {
  const sshProgram = folder.file("odd-ssh");
  for (const script of ["echo '\u001b[31m odd'", "yes"]) {
    await writeFile(sshProgram, `#!/bin/sh\nexec ${script}\n`);
    await chmod(sshProgram, 0o755);
    const error = await failureOf(resolveHost("x", { sshProgram }));
    expect(error).toMatchObject({ code: "config.invalid" });
    expect(error.message).not.toContain("\u001b");
  }
});

test("ssh is asked once for what is asked again at once", async () => {
  const tally = folder.file("tally");
  const sshProgram = folder.file("counting-ssh");
  const output = ["hostname h", "user u", "port 22"].map((line) => `echo ${line}`).join("; ");
  await writeFile(sshProgram, `#!/bin/sh\necho asked >> ${tally}; ${output}\n`);
  await chmod(sshProgram, 0o755);
  await writeFile(configFile, "");
  const timesAsked = async () => (await readFile(tally, "utf8")).trim().split("\n").length;
  await resolveHost("h", { sshProgram, configFile, port: 1 });
  await resolveHost("h", { sshProgram, configFile, port: 1 });
  expect(await timesAsked()).toBe(1);
  await resolveHost("h", { sshProgram, configFile, port: 2 });
  expect(await timesAsked()).toBe(2);
});

describe("a default of the distribution", () => {
  /** How often ssh is asked about a host, and the warnings, with `text` as the user's own file. */
  async function asked(text: string | undefined, options: ResolveOptions = {}) {
    const [sshProgram, log] = [folder.file(`ssh-${number}`), folder.file(`log-${number}`)];
    await writeFile(sshProgram, `#!/bin/sh\necho >> ${log}\nexec ssh "$@"\n`);
    await chmod(sshProgram, 0o755);
    if (text !== undefined) await writeFile(configFile, text);
    const { unsupported } = await resolveHost("plain.example", {
      sshProgram,
      userFile: configFile,
      ...options,
    });
    return { times: (await readFile(log, "utf8")).length, unsupported };
  }

  test("is known for one where the user has no file, or says nothing of it: ssh is asked once", async () => {
    expect(await asked(undefined)).toEqual({ times: 1, unsupported: [] });
    number += 1;
    expect(await asked("Host plain.example\n  User x\n")).toEqual({ times: 1, unsupported: [] });
  });

  test.each([
    ["a word of it", "Host *\n  gssapiauthentication yes\n", {}],
    ["another file", "Host a\n  User x\n\n  Include more\n", {}],
    ["-o", "", { overrides: { gssAPIAuthentication: "no" } }],
  ])("is told from the user's own by asking again where there is %s", async (_, text, options) => {
    expect((await asked(text, options)).times).toBe(2);
  });
});
