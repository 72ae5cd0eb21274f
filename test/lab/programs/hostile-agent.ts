/**
 * `hostile-agent MODE NONCE DIGEST`: speaks the protocol on its stdin and stdout as an agent would, up to the open forward, and then
 * lies as MODE says. It ends with its stdin, as an agent does.
 */
import { readFileSync } from "node:fs";
import { encodeFrame, encodePreamble, FrameDecoder, type WireValue } from "@farside/protocol";

const [mode = "", nonce = "", digest = ""] = process.argv.slice(2);

/** What a terminal would act on: title, colours, cursor, the 8-bit forms, a link, a reordering, an invisible mark. */
const ESCAPES =
  "\u001b]0;owned\u0007\u001b[2J\u001b[45m\u009b45m\u001b]8;;http://x\u001b\\\u202e\u200b\r\n\u0008\u0000";
const evil = (text: string): string => `${ESCAPES}${text}${ESCAPES}`;
const isEscaping = mode.startsWith("escapes");
const text = (plain: string): string => (isEscaping ? evil(plain) : plain);

/** Whether the carrier takes more at once. */
const write = (bytes: Uint8Array): boolean => process.stdout.write(bytes);
const send = (message: Record<string, unknown>): boolean => write(encodeFrame(message as WireValue));
const tell = (name: string, data: Record<string, unknown>): boolean => send({ kind: "event", name, data });

/** Sends as fast as it is taken, for ever. */
function flood(next: (count: number) => Uint8Array): void {
  let count = 0;
  const push = (): void => {
    // In bunches, so that the flood is the carrier's fastest, not this program's.
    const goesOn = write(Buffer.concat(Array.from({ length: 200 }, (_, index) => next(count + index + 1))));
    count += 200;
    if (goesOn) setImmediate(push);
    else process.stdout.once("drain", push);
  };
  push();
}

const sign = {
  ...{
    hopId: "1",
    data: new Uint8Array(200),
    hostKey: new Uint8Array(51),
    serverSignature: new Uint8Array(83),
  },
};
const relay = (relayId: number) => ({ forwardId, relayId, peer: text("127.0.0.1:1"), uid: 1500 });
let forwardId = "";
let hopId = "";

/** What it does once its forward is open. */
const attacks: Readonly<Record<string, () => void>> = {
  frames: () => {
    write(readFileSync("/opt/lab/frames"));
  },
  "event-flood": () =>
    flood((count) => encodeFrame({ kind: "event", name: "relay.open", data: relay(count) })),
  "warning-flood": () =>
    flood((count) =>
      encodeFrame({ kind: "event", name: "warning", data: { message: `${count} ${"x".repeat(8_000)}` } }),
    ),
  // One at a time is answered, so that it can go on for ever.
  "sign-flood": () => askAgain(1),
  "log-flood": () => {
    const push = (): void => {
      if (process.stderr.write(`${"x".repeat(65_536)}\n`)) setImmediate(push);
      else process.stderr.once("drain", push);
    };
    push();
  },
  escapes: () => {
    tell("warning", { message: evil("a warning"), hint: evil("a hint") });
    tell("relay.open", relay(1));
    const error = { code: "target.refused", message: evil("no"), hint: evil("hint"), leg: "target" };
    tell("relay.close", { ...relay(1), bytesIn: 1, bytesOut: 1, durationMs: 1, reason: "error", error });
    tell("relay.refused", { forwardId, peer: evil("p"), uid: 7, reason: "other-user", hint: evil("a hint") });
    tell("hop.lost", { hopId, error: { code: evil("x"), message: evil("gone") } });
    process.stderr.write(`${evil("a line of the log")}\n`);
    const why = { code: "agent.unsupported-host", message: evil("the end"), hint: evil("hint") };
    setTimeout(() => tell("agent.ending", { reason: "fatal", error: why }), 100);
    setTimeout(() => process.exit(), 200);
  },
  /** Numbers that can't be, as far as the protocol lets them through. */
  counters: () => {
    const most = Number.MAX_SAFE_INTEGER;
    for (let relayId = 1; relayId <= 50; relayId += 1) {
      tell("relay.close", {
        ...relay(relayId),
        bytesIn: most,
        bytesOut: most,
        durationMs: most,
        reason: "end",
      });
    }
    tell("dropped", { count: most });
    tell("warning", { message: "that was all" });
  },
};

function askAgain(id: number): void {
  send({ kind: "request", id, name: "identity.sign", params: { ...sign, hopId } });
}

function answer(message: { kind: string; id: number; name: string; params: Record<string, unknown> }): void {
  const { kind, id, name, params } = message;
  if (kind === "failure" && mode === "sign-flood") askAgain(id + 1);
  if (kind !== "request") return;
  if (name === "lease.renew") send({ kind: "response", id, result: { openRelays: 0 } });
  if (name === "agent.describe") {
    send({ kind: "response", id, result: { forwards: [], rssBytes: 0, uptimeMs: 0, eventsDropped: 0 } });
  }
  if (name !== "forward.open") return;
  forwardId = String(params["forwardId"]);
  hopId = String((params["route"] as { hopId: string }[])[0]?.hopId);
  if (mode === "escapes-failure") {
    const error = { code: "forward.port-in-use", message: evil("no"), hint: evil("hint"), leg: "bind" };
    send({ kind: "failure", id, error });
    return;
  }
  const address = mode === "escapes-bound" ? evil("127.0.0.1") : "127.0.0.1";
  send({ kind: "response", id, result: { bound: [{ kind: "tcp", address, port: 4444 }] } });
  attacks[mode]?.();
}

process.stdout.on("error", () => process.exit());
process.stderr.on("error", () => {});
write(encodePreamble(nonce, "agent"));
tell("hello.agent", {
  ...{
    protocol: { min: 1, max: 1 },
    agentVersion: text("0.1.0"),
    digest,
    capabilities: [text("x")],
    pid: process.pid,
  },
  ...{
    node: text("20.11.1"),
    platform: text("linux"),
    hostname: text("jump"),
    uid: 1500,
    user: text("builder"),
  },
});
const decoder = new FrameDecoder();
let isPastBundle = false;
let head = Buffer.alloc(0);
process.stdin
  .on("data", (chunk: Buffer) => {
    let rest: Uint8Array = chunk;
    if (!isPastBundle) {
      // The bundle comes first, behind a line with its length; nobody asked for it here.
      head = Buffer.concat([head, chunk]);
      const line = /farside-bundle [0-9a-f]+ (\d+) [0-9a-f]+ \d+\n/.exec(head.toString("latin1"));
      if (line === null) return;
      const from = line.index + line[0].length + Number(line[1]);
      if (head.length < from) return;
      isPastBundle = true;
      rest = head.subarray(from);
    }
    for (const message of decoder.push(rest)) answer(message as never);
  })
  .on("end", () => process.exit());
