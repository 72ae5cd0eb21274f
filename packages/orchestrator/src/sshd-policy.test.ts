import { PassThrough } from "node:stream";
import { CodedError, type ErrorCode } from "@farside/protocol";
import { describe, expect, it } from "vitest";
import { respectSshdPolicy } from "./sshd-policy.ts";

/** A host that answers each dial with one of these; `open` where a channel opens. */
function host(answers: Record<string, ErrorCode | "open">) {
  const dialled: string[] = [];
  const answer = async (place: string) => {
    dialled.push(place);
    const found = answers[place] ?? "target.forbidden";
    if (found !== "open") throw new CodedError(found, place, { leg: "target" });
    return new PassThrough();
  };
  const hop = { dial: (name: string, port: number) => answer(`${name}:${port}`), dialUnix: answer };
  return { dialled, hop };
}

const { signal } = new AbortController();
const target = { kind: "tcp", host: "db", port: 5432 } as const;
const check = (hop: ReturnType<typeof host>["hop"]) =>
  respectSshdPolicy({ hop, host: "builder@build-1", destinations: [target], signal });

describe("what sshd allows a login to forward", () => {
  it("is asked of a closed port of the host itself, so that no target is disturbed", async () => {
    const { hop, dialled } = host({ "127.0.0.1:1": "target.unreachable" });
    await check(hop);
    expect(dialled).toEqual(["127.0.0.1:1"]);
  });

  it("may be the destination alone (PermitOpen)", async () => {
    const { hop, dialled } = host({ "db:5432": "open" });
    await check(hop);
    expect(dialled).toEqual(["127.0.0.1:1", "db:5432"]);
  });

  it("is respected where it is nothing", async () => {
    const { hop } = host({});
    await expect(check(hop)).rejects.toMatchObject({
      code: "forward.forbidden-by-policy",
      leg: "jump",
      message: expect.stringContaining("db:5432"),
    });
  });

  it("is not guessed where the connection is lost", async () => {
    const { hop } = host({ "127.0.0.1:1": "hop.lost" });
    await expect(check(hop)).rejects.toMatchObject({ code: "hop.lost" });
  });
});
