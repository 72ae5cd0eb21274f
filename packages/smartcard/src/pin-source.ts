import { spawn } from "node:child_process";
import { once } from "node:events";
import { constants, createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { CodedError } from "@farside/protocol";
import type { PinRequest, PinSource } from "./pin.ts";

/** Longest input that is read for a PIN. */
const MAX_INPUT_BYTES = 1024;
const ASKPASS_TIMEOUT_MS = 300_000;
const FD_TIMEOUT_MS = 30_000;

/**
 * A PIN source that needs no terminal, from `--pin-source`: `env:NAME`, `fd:N`, `file:PATH` or `askpass`. `env:` takes the
 * variable out of `env`, so that no child gets it; give `process.env` itself. Rejects with `usage.invalid`.
 */
export function pinSourceFrom(spec: string, env: NodeJS.ProcessEnv): PinSource {
  const [, kind = "", value = ""] = /^(env|fd|file):(.+)$/s.exec(spec) ?? [spec, spec];
  if (kind === "env") return fromEnvironment(value, env);
  if (kind === "fd" && /^\d{1,6}$/.test(value)) return fromDescriptor(Number(value));
  if (kind === "file") return fromFile(value);
  if (spec === "askpass") return fromAskpass(env);
  throw new CodedError("usage.invalid", "--pin-source is not tty, askpass, env:NAME, fd:N or file:PATH", {
    leg: "card",
  });
}

const unavailable = (message: string, hint?: string): CodedError =>
  new CodedError("card.pin-unavailable", message, { leg: "card", hint });

const sayNo = async (): Promise<boolean> => false;

function fromEnvironment(name: string, env: NodeJS.ProcessEnv): PinSource {
  const pin = env[name];
  delete env[name];
  const ask = async (): Promise<string> => {
    if (pin === undefined) throw unavailable(`cannot get the PIN: the variable ${name} is not set`);
    return pin;
  };
  return { isInteractive: false, ask, confirmLastTry: sayNo };
}

/** Gives the PIN once: what was read from a pipe isn't kept. */
function fromDescriptor(fd: number): PinSource {
  if (fd === 1 || fd === 2)
    throw new CodedError("usage.invalid", `--pin-source fd:${fd} is an output`, { leg: "card" });
  let isRead = false;
  const ask = async ({ signal }: PinRequest): Promise<string> => {
    if (isRead)
      throw unavailable(
        `cannot get the PIN again: descriptor ${fd} gave it once`,
        "a terminal, askpass, env: and file: can be asked again",
      );
    isRead = true;
    const stream = createReadStream("", { fd, highWaterMark: MAX_INPUT_BYTES });
    const deadline = AbortSignal.timeout(FD_TIMEOUT_MS);
    const end = signal === undefined ? deadline : AbortSignal.any([signal, deadline]);
    const stop = (): void => void stream.destroy(end.reason);
    end.addEventListener("abort", stop, { once: true });
    try {
      return await readLine(stream);
    } catch {
      signal?.throwIfAborted();
      throw unavailable(`cannot read the PIN from descriptor ${fd}`);
    } finally {
      end.removeEventListener("abort", stop);
      stream.destroy();
    }
  };
  return { isInteractive: false, ask, confirmLastTry: sayNo };
}

function fromFile(path: string): PinSource {
  const ask = async (): Promise<string> => {
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY).catch(
      () => {
        throw unavailable(`cannot get the PIN: ${path} can't be read`);
      },
    );
    try {
      const stats = await file.stat();
      const isOurs = stats.uid === process.getuid?.() || stats.uid === 0;
      if (!stats.isFile() || !isOurs || (stats.mode & 0o077) !== 0)
        throw unavailable(
          `will not take the PIN from ${path}: others may read it, or it isn't our file`,
          `chmod 600 ${path}`,
        );
      const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_INPUT_BYTES), 0, MAX_INPUT_BYTES, 0);
      return firstLine(buffer.subarray(0, bytesRead));
    } finally {
      await file.close();
    }
  };
  return { isInteractive: false, ask, confirmLastTry: sayNo };
}

/** The program of SSH_ASKPASS, called as ssh(1) does: the prompt is its argument, the first line of its output the answer. */
function fromAskpass(env: NodeJS.ProcessEnv): PinSource {
  const program = env["SSH_ASKPASS"];
  const run = async (prompt: string, kind: string, signal: AbortSignal | undefined) => {
    if (!program)
      throw unavailable("cannot ask for the PIN: SSH_ASKPASS is not set", "or use another --pin-source");
    const deadline = AbortSignal.timeout(ASKPASS_TIMEOUT_MS);
    const child = spawn(program, [prompt], {
      env: { ...env, ...(kind === "" ? {} : { SSH_ASKPASS_PROMPT: kind }) },
      stdio: ["ignore", "pipe", "ignore"],
      signal: signal === undefined ? deadline : AbortSignal.any([signal, deadline]),
      killSignal: "SIGKILL",
      detached: true,
    });
    try {
      const [line, [code]] = await Promise.all([readLine(child.stdout), once(child, "exit")]);
      return { line, isYes: code === 0 };
    } catch {
      signal?.throwIfAborted();
      throw unavailable(`cannot ask for the PIN: ${program} did not answer`);
    }
  };
  return {
    isInteractive: true,
    async ask(request) {
      const { line, isYes } = await run(promptText(request), "", request.signal);
      if (!isYes) throw unavailable("the PIN entry was canceled");
      return line;
    },
    async confirmLastTry(request) {
      const question = `One PIN try is left for ${request.token}: a wrong PIN locks the card. Go on?`;
      return (await run(question, "confirm", request.signal)).isYes;
    },
  };
}

const reasonTexts: Readonly<Record<PinRequest["reason"], string>> = {
  first: "",
  "card-reinserted": " again (the card was out)",
  "card-reset": " again (the card was reset)",
  "signer-restarted": " again (the card's module was restarted)",
  "wrong-pin": " again (the last one was wrong)",
  "always-authenticate": " for this signature",
};

/** What a person is asked: `PIN for TOKEN:` and why, where it isn't the first time. */
export function promptText({ token, reason, lastTry }: PinRequest): string {
  return `PIN for ${token}${reasonTexts[reason]}${lastTry ? ", last try" : ""}: `;
}

function firstLine(bytes: Buffer): string {
  const text = bytes.toString("utf8");
  bytes.fill(0);
  return /^[^\r\n]*/.exec(text)?.[0] ?? "";
}

/** The first line of `stream`; the rest is read (so that a writer doesn't block) and dropped, a long line is cut. */
async function readLine(stream: AsyncIterable<unknown>): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of stream) {
    const bytes = chunk as Buffer;
    if (length < MAX_INPUT_BYTES) chunks.push(bytes);
    length += bytes.length;
    if (length >= MAX_INPUT_BYTES || bytes.includes(0x0a)) break;
  }
  const joined = Buffer.concat(chunks).subarray(0, MAX_INPUT_BYTES);
  for (const chunk of chunks) chunk.fill(0);
  return firstLine(joined);
}
