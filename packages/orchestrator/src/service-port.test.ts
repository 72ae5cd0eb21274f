import { writeFile } from "node:fs/promises";
import { type TemporaryFolder, temporaryFolder } from "@farside/ssh/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { servicePort } from "./service-port.ts";

const services = `# Network services
echo\t\t7/udp
domain\t\t53/udp
domain\t\t53/tcp\t\t# not only UDP
http\t\t80/tcp\t\twww\tweb   # WorldWideWeb HTTP
#gone\t\t81/tcp
broken
`;

let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await temporaryFolder();
  await writeFile(folder.file("services"), services);
});
afterAll(() => folder[Symbol.asyncDispose]());

describe("the port of a service", () => {
  it.each([
    ["http", 80],
    ["www", 80],
    ["web", 80],
    ["domain", 53],
    ["echo", undefined],
    ["gone", undefined],
    ["80/tcp", undefined],
    ["WorldWideWeb", undefined],
    ["", undefined],
    ["broken", undefined],
  ])("%j is %s", (name, port) => {
    expect(servicePort(name, folder.file("services"))).toBe(port);
  });

  it("is unknown where there is no list", () => {
    expect(servicePort("http", folder.file("missing"))).toBeUndefined();
  });
});
