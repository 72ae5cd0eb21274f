import { isCodedError } from "@farside/protocol";
import { describe, expect, it, vi } from "vitest";
import { formatBind, formatTarget, parseForwardSpec } from "./forward-spec.ts";

// Hosts differ in whether they have /etc/services.
vi.mock("./service-port.ts", () => ({
  servicePort: (name: string) => ({ http: 80, "443": 1, postgresql: 5432 })[name],
}));

const tcp = (host: string, port: number) => ({ kind: "tcp", host, port });
const loopback = (port: number) => ({ kind: "loopback", port });
const unix = (path: string) => ({ kind: "unix", path });
const at = (address: string, port: number) => ({ kind: "tcp", address, port });

const accepted: [spec: string, bind: object, target: object][] = [
  ["4444:localhost:4444", loopback(4444), tcp("localhost", 4444)],
  ["0:db:5432", loopback(0), tcp("db", 5432)],
  ["4444:[::1]:22", loopback(4444), tcp("::1", 22)],
  ["localhost:80:web:8080", loopback(80), tcp("web", 8080)],
  ["127.0.0.1:80:web:8080", at("127.0.0.1", 80), tcp("web", 8080)],
  ["[::1]:80:web:8080", at("::1", 80), tcp("web", 8080)],
  ["*:80:web:8080", at("*", 80), tcp("web", 8080)],
  [":80:web:8080", at("*", 80), tcp("web", 8080)],
  ["[fe80::1%eth0]:80:[2001:db8::1]:8080", at("fe80::1%eth0", 80), tcp("2001:db8::1", 8080)],
  ["4444:/run/sign.sock", loopback(4444), unix("/run/sign.sock")],
  ["*:4444:/run/sign.sock", at("*", 4444), unix("/run/sign.sock")],
  ["/tmp/in.sock:sign:4444", unix("/tmp/in.sock"), tcp("sign", 4444)],
  ["./in.sock:/run/out.sock", unix("./in.sock"), unix("/run/out.sock")],
  ["/tmp/a\\:b.sock:sign:1", unix("/tmp/a:b.sock"), tcp("sign", 1)],
  ["[/tmp/c:d.sock]:sign:1", unix("/tmp/c:d.sock"), tcp("sign", 1)],
  ["4444:/a\\/b", loopback(4444), unix("/a/b")],
  [" 1:h:2", loopback(1), tcp("h", 2)],
  ["postgresql:db:postgresql", loopback(5432), tcp("db", 5432)],
  ["*:http:web:443", at("*", 80), tcp("web", 443)],
  ["http:/run/web.sock", loopback(80), unix("/run/web.sock")],
];

const refused: [spec: string, part: RegExp][] = [
  ["", /it is empty/],
  ["4444", /the target is missing/],
  ["\\/run/x", /the target is missing/],
  ["4444:\\/x", /the target must be host:hostport or the path/],
  ["\\/x:/run/y", /the port to listen on/],
  ["4444:localhost", /the target must be host:hostport or the path/],
  ["4444:localhost:", /the last part is empty/],
  ["abc:localhost:4444", /the port to listen on is not a port number/],
  ["65536:localhost:4444", /the port to listen on is not a port number/],
  ["-1:localhost:4444", /the port to listen on is not a port number/],
  [
    "4444:localhost:gopher",
    /the target port is not a port number from 0 to 65535, nor a service of \/etc\/services: "gopher"/,
  ],
  ["4444:localhost:000443", /the target port is not a port number/],
  ["4444:localhost:0", /the target port must not be 0/],
  ["4444:localhost:99999", /the target port is not a port number/],
  ["4444::4444", /the target host is missing/],
  ["4444:-oProxyCommand=x:22", /the target host is neither a host name nor an IP/],
  ["4444:a b:22", /the target host is neither/],
  ["4444:::1:22", /the target has too many parts/],
  ["4444:[::1:22", /the second part has no closing bracket/],
  ["4444:[::1]x:22", /the second part goes on behind/],
  ["a:b:c:d:e", /the target has too many parts/],
  ["/tmp/x:80:web:8080", /the bind address is not an address/],
  ["host name:80:web:8080", /the bind address is neither/],
  [`/${"x".repeat(120)}:web:80`, /the socket is longer than 107 bytes/],
  ["80:/tmp/dir/", /the remote socket is a folder's name/],
  ["80:web\u0007:80", /it holds a control character/],
  ["80:web:80\\", /the third part ends in a backslash/],
];

describe("parseForwardSpec", () => {
  it.each(accepted)("reads %s as ssh does", (spec, bind, target) => {
    expect(parseForwardSpec(spec)).toEqual({ bind, target });
  });

  it.each(refused)("refuses %s and names the part", (spec, part) => {
    let thrown: unknown;
    try {
      parseForwardSpec(spec);
    } catch (error) {
      thrown = error;
    }
    expect(isCodedError(thrown) && thrown.code).toBe("usage.invalid");
    expect(String(thrown)).toMatch(part);
  });

  it("prints addresses the way people write them", () => {
    const { bind, target } = parseForwardSpec("[::1]:80:[2001:db8::1]:8080");
    expect([formatBind(bind), formatTarget(target)]).toEqual(["[::1]:80", "[2001:db8::1]:8080"]);
    expect(formatBind(parseForwardSpec("4444:/a").bind)).toBe("localhost:4444");
    expect(formatTarget(parseForwardSpec("4444:/a").target)).toBe("/a");
  });
});
