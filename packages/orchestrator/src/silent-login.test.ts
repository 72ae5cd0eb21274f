import { EventEmitter } from "node:events";
import { PassThrough } from "node:stream";
import { CodedError } from "@farside/protocol";
import type { ExecStream, Hop } from "@farside/ssh";
import { describe, expect, it } from "vitest";
import { diagnoseSilence } from "./silent-login.ts";

/** A channel that answers the end of its stdin with `answer`, made of the command it was asked for. */
function hopThat(answer: (mark: string, channel: PassThrough) => void): Pick<Hop, "exec"> {
  const exec = async (command: string) => {
    const [, a = "", b = ""] = /'farside' '([0-9a-f]+)' '([0-9a-f]+)'/.exec(command) ?? [];
    const output = new PassThrough();
    const channel = Object.assign(output, {
      exit: new Promise((resolve) => output.once("close", () => resolve({ code: 0, signal: null }))),
      stderr: { text: () => "", isTruncated: false },
      end: () => answer(`farside-shell:${a}${b}\n`, output),
    });
    return channel as unknown as ExecStream;
  };
  return { exec };
}

const timing = { afterMs: 1, followMs: 1 };
const never = new AbortController().signal;
const finish = (channel: PassThrough) => EventEmitter.prototype.emit.call(channel, "close");

describe("a login that is silent", () => {
  it("waits on its stdin where a command whose stdin is at its end runs", async () => {
    const hop = hopThat((mark, channel) => channel.push(`Welcome ${mark}`));
    expect(await diagnoseSilence({ ...timing, hop, signal: never })).toEqual({ kind: "runs" });
  });

  it("runs something else where that command ends without a word of ours", async () => {
    const hop = hopThat((_, channel) => {
      channel.push("only backups");
      channel.push(null);
      setImmediate(() => finish(channel));
    });
    expect(await diagnoseSilence({ ...timing, hop, signal: never })).toMatchObject({
      kind: "ends",
      noise: "only backups",
    });
  });

  it("is not explained where no second command is allowed", async () => {
    const hop = {
      exec: async () => {
        throw new CodedError("hop.channel-refused", "MaxSessions 1");
      },
    };
    expect(await diagnoseSilence({ ...timing, hop, signal: never })).toEqual({ kind: "unknown" });
  });

  it("is asked no more once the first command was heard of", async () => {
    const heard = new AbortController();
    const hop = hopThat(() => heard.abort());
    await expect(diagnoseSilence({ ...timing, hop, signal: heard.signal })).rejects.toThrow(/abort/i);
  });
});
