import { closeSync, fstatSync, openSync, readdirSync, readlinkSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { serveTcp } from "../testing/tcp.ts";
import { SockDiagSocket, takeSockDiagDescriptor } from "./sock-diag-socket.ts";

describe("the descriptor of the bootstrap's socket", () => {
  test("is taken out of the environment", () => {
    const environment = { FARSIDE_SOCK_DIAG: "3", HOME: "/" };
    expect(takeSockDiagDescriptor(environment)).toBe(3);
    expect(environment).toEqual({ HOME: "/" });
    expect(takeSockDiagDescriptor(environment)).toBeUndefined();
  });

  test.each(["", "x", "-1", "0", "1.5", "3 ", "99999999"])("is none where the variable says %j", (text) => {
    const environment: NodeJS.ProcessEnv = { FARSIDE_SOCK_DIAG: text };
    expect(takeSockDiagDescriptor(environment)).toBeUndefined();
    expect(environment).toEqual({});
  });
});

describe("a socket of another kind", () => {
  test("is not written to and stays open: a file", () => {
    const file = openSync("/dev/null", "r+");
    expect(() => new SockDiagSocket(file)).toThrow(`descriptor ${file} is no sock_diag socket`);
    expect(fstatSync(file).isCharacterDevice()).toBe(true);
    closeSync(file);
  });

  test("is not written to and stays open: a TCP listener", async () => {
    await using _server = await serveTcp(() => {}, { host: "127.0.0.1", port: 0 });
    const sockets = readdirSync("/proc/self/fd").filter((name) => linkOf(name).startsWith("socket:"));
    expect(sockets.length).toBeGreaterThan(0);
    for (const name of sockets)
      expect(() => new SockDiagSocket(Number(name))).toThrow("is no sock_diag socket");
    expect(sockets.every((name) => linkOf(name).startsWith("socket:"))).toBe(true);
  });

  test("is refused where there is nothing", () => {
    expect(() => new SockDiagSocket(99_999)).toThrow("ENOENT");
  });
});

function linkOf(name: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${name}`);
  } catch {
    return "";
  }
}
