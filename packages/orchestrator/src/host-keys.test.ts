import type { HostConfig } from "@farside/ssh";
import { describe, expect, it } from "vitest";
import { checkOf, parsePinnedKeys, placeOf } from "./host-keys.ts";

const fingerprint = `SHA256:${"A".repeat(43)}`;
const config = { alias: "build", hostName: "10.0.0.1", port: 2222, hostKeyAlias: undefined } as HostConfig;

describe("pinned host keys", () => {
  it("are fingerprints by host, several for one host", () => {
    const other = `SHA256:${"B".repeat(43)}`;
    const pinned = parsePinnedKeys([`sign=${fingerprint}`, `sign=${other}`, `::1=${other}`]);
    expect([...pinned]).toEqual([
      ["sign", [fingerprint, other]],
      ["::1", [other]],
    ]);
  });

  it.each(["", "sign", `=${fingerprint}`, "sign=SHA256:short", "sign=MD5:aa"])("refuse %j", (text) => {
    expect(() => parsePinnedKeys([text])).toThrow(/--via-host-key/);
  });
});

describe("the check of host keys", () => {
  it("is what the operator wants, else ssh_config, which can't turn it off", () => {
    const warnings: string[] = [];
    const onWarning = (text: string) => warnings.push(text);
    const off = { ...config, strictHostKeyChecking: "off" } as const;
    expect(checkOf(off, { check: "strict", onWarning })).toBe("strict");
    expect(checkOf({ ...config, strictHostKeyChecking: "ask" }, { onWarning })).toBe("ask");
    expect(warnings).toEqual([]);
    expect(checkOf(off, { onWarning })).toBe("accept-new");
    expect(warnings).toEqual([expect.stringContaining("build")]);
  });

  it("looks a host up where ssh does", () => {
    expect(placeOf(config)).toEqual({ host: "10.0.0.1", port: 2222 });
    expect(placeOf({ ...config, hostKeyAlias: "signing" })).toEqual({ host: "signing", port: 22 });
  });
});
