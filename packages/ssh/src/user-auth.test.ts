import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { Hop } from "./hop.ts";
import type { HopOptions, KeyboardPrompts } from "./hop-options.ts";
import { KeyFileIdentity } from "./key-file-identity.ts";
import { failureOf } from "./testing/failure-of.ts";
import { hopOptionsFor } from "./testing/hop-options-for.ts";
import { makeKeyPair } from "./testing/key-pair.ts";
import { anyHostKey, type Ssh2Server, ssh2Server } from "./testing/ssh2-server.ts";
import { type Sshd, startSshd } from "./testing/sshd.ts";

type Handler = (...request: unknown[]) => void;

let sshd: Sshd;

beforeAll(async () => {
  sshd = await startSshd();
});
afterAll(async () => {
  await sshd[Symbol.asyncDispose]();
});

afterEach(() => void vi.useRealTimers());

describe("a host that wants a one-time password behind the key", () => {
  let server: Ssh2Server;
  let methods: string[] = [];

  beforeAll(async () => {
    server = await ssh2Server((connection) => {
      connection.on("authentication", (context) => {
        methods.push(context.method);
        if (context.method === "publickey") {
          if (context.signature === undefined) context.accept();
          else context.reject(["keyboard-interactive"], true);
        } else if (context.method === "keyboard-interactive") {
          const prompts = [
            { prompt: "One-time\u001b[31m password: ", echo: false },
            { prompt: "Why?", echo: true },
          ];
          context.prompt(prompts, "Two\nfactors", "Please\nanswer\u0007", (answers) => {
            if (answers.join() === "123456,because") context.accept();
            else context.reject(["keyboard-interactive"]);
          });
        } else context.reject();
      });
    });
  });
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
  });

  const options = async (overrides: Partial<HopOptions>) => {
    methods = [];
    return hopOptionsFor(sshd, {
      port: server.port,
      hostKeys: anyHostKey,
      requireSignature: true,
      ...overrides,
    });
  };

  test("gets the answers to its prompts, which are shown without control characters", async () => {
    const shown: KeyboardPrompts[] = [];
    const keyboardInteractive = async (prompts: KeyboardPrompts) => {
      shown.push(prompts);
      return ["123456", "because"];
    };
    await using hop = await Hop.connect(await options({ keyboardInteractive }));
    expect(hop.name).toContain(String(server.port));
    expect(shown).toEqual([
      {
        from: `${sshd.user}@${sshd.host} port ${server.port}`,
        name: "Two\\nfactors",
        instructions: "Please\nanswer\\x07",
        prompts: [
          { text: "One-time\\x1b[31m password:", echo: false },
          { text: "Why?", echo: true },
        ],
      },
    ]);
    expect(methods).toEqual(["publickey", "publickey", "keyboard-interactive"]);
  });

  test("that refuses the answers is hop.auth-refused, and it is asked only once", async () => {
    const error = await failureOf(
      options({ keyboardInteractive: async () => ["000000"] }).then((with_) => Hop.connect(with_)),
    );
    expect(error).toMatchObject({ code: "hop.auth-refused" });
    expect(error.message).toContain("the host accepts: keyboard-interactive");
    expect(methods).toEqual(["publickey", "publickey", "keyboard-interactive"]);
  });

  test("is refused where nobody can be asked, and names what it wants", async () => {
    const error = await failureOf(options({}).then((with_) => Hop.connect(with_)));
    expect(error).toMatchObject({ code: "hop.auth-refused" });
    expect(error.message).toContain("the host accepts: keyboard-interactive");
  });

  test("fails with what the operator's side fails with", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const error = await failureOf(
      options({
        keyboardInteractive: async (_prompts, { signal }) => {
          const aborted = new Promise((_resolve, reject) =>
            signal.addEventListener("abort", () => reject(signal.reason)),
          );
          setImmediate(() => vi.advanceTimersByTime(100));
          await aborted;
          return [];
        },
        authenticationTimeoutMs: 100,
      }).then((with_) => Hop.connect(with_)),
    );
    expect(error).toMatchObject({ code: "timeout" });
    expect(error.message).toContain("nothing came from the operator");
  });
});

test.each([
  ["a thousand questions at once", 1_000, 0],
  ["questions again and again", 1, 10],
])("a host that asks %s is given no more answers than a person would give", async (_, questions, asked) => {
  await using server = await ssh2Server((connection) => {
    connection.on("authentication", (context) => {
      if (context.method === "publickey") {
        if (context.signature === undefined) context.accept();
        else context.reject(["keyboard-interactive"], true);
      } else if (context.method === "keyboard-interactive") {
        const prompts = Array.from({ length: questions }, () => ({ prompt: "Why?", echo: true }));
        const again = () => context.prompt(prompts, "", "", again);
        again();
      } else context.reject();
    });
  });
  let rounds = 0;
  const keyboardInteractive = async () => {
    rounds += 1;
    return ["because"];
  };
  const options = await hopOptionsFor(sshd, { port: server.port, hostKeys: anyHostKey, keyboardInteractive });
  expect(await failureOf(Hop.connect(options))).toMatchObject({ code: "hop.auth-refused" });
  expect(rounds).toBe(asked);
});

test("a host that wants two keys gets two signatures", async () => {
  const second = await makeKeyPair(sshd.folder.file("second-factor"), "ecdsa-256");
  const first = sshd.userKey;
  await using strict = await startSshd({
    authorizedKeys: [first.line, second.line],
    config: ["AuthenticationMethods publickey,publickey"],
  });
  const identity = await KeyFileIdentity.open({ files: [first.path, second.path] });
  await using hop = await Hop.connect(await hopOptionsFor(strict, { identity, requireSignature: true }));
  const log = await strict.log();
  expect(log.match(/Partial publickey|Accepted publickey/gu)).toEqual([
    "Partial publickey",
    "Accepted publickey",
  ]);
  await hop.close();
});

test("no method but publickey is tried: the host never sees a `none` attempt", async () => {
  const before = (await sshd.log()).length;
  await using hop = await Hop.connect(await hopOptionsFor(sshd));
  const log = (await sshd.log()).slice(before);
  expect(log).toMatch(/userauth-request for user \S+ service ssh-connection method publickey/u);
  expect(log).not.toContain("method none");
  await hop.close();
});

test("the first key is asked about without waiting for the service, once the key exchange is over", async () => {
  // Grants it only when it has heard more: who waits for it would wait for good.
  await using patient = await ssh2Server((connection) => {
    const handlers = (connection as unknown as { _protocol: { _handlers: Record<string, Handler> } })
      ._protocol._handlers;
    const { SERVICE_REQUEST: grant, USERAUTH_REQUEST: ask } = handlers;
    let held: unknown[] | undefined;
    handlers["SERVICE_REQUEST"] = (...request) => {
      held = request;
    };
    handlers["USERAUTH_REQUEST"] = (...request) => {
      if (held !== undefined) grant?.(...held);
      held = undefined;
      ask?.(...request);
    };
    connection.on("authentication", (context) =>
      context.method === "publickey" ? context.accept() : context.reject(),
    );
  });
  await using hop = await Hop.connect(
    await hopOptionsFor(sshd, { port: patient.port, hostKeys: anyHostKey, requireSignature: true }),
  );
  expect(hop.serverHostKey.length).toBeGreaterThan(0);
});
