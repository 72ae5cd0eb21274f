import { once } from "node:events";
import { chmod, chown, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { PassThrough } from "node:stream";
import { PreambleScanner } from "@farside/protocol";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { hasOtherUsers, NOBODY } from "../testing/other-user.ts";
import { bridge } from "./bridge.ts";

const nonce = "0123456789abcdef0123456789abcdef";
const uid = process.getuid?.() ?? 0;
let folder: string;
let server: net.Server;
let connections: number;
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), "fs-bridge-"));
  connections = 0;
  server = net.createServer((socket) => {
    connections += 1;
    socket.end("hello from the socket");
  });
  server.listen(`${folder}/x.sock`);
  await once(server, "listening");
});
afterEach(async () => {
  server.close();
  await rm(folder, { recursive: true, force: true });
});

/** What the orchestrator hears, and the exit code. */
async function bridgeTo(control: string, ownUid = uid) {
  const [stdin, stdout] = [new PassThrough(), new PassThrough()];
  const heard = new PreambleScanner(nonce);
  const said: Buffer[] = [];
  stdout.on("data", (chunk: Buffer) => said.push(chunk));
  stdin.end();
  const code = await bridge({ nonce, control, uid: ownUid, stdin, stdout, endOwnLogin: async () => {} });
  const preamble = heard.push(Buffer.concat(said));
  return { code, status: preamble?.status ?? "", rest: preamble?.rest.toString() ?? "" };
}

const anothersSocket: [string, () => Promise<void>, string, number, RegExp] = [
  "is another user's",
  () => chown(`${folder}/x.sock`, NOBODY, NOBODY),
  "x.sock",
  uid,
  /no socket of this user/,
];

describe("the bridge to a control socket", () => {
  test("joins it with the standard streams", async () => {
    const { code, status, rest } = await bridgeTo(`${folder}/x.sock`);
    expect([code, status, rest]).toEqual([0, "bridge", "hello from the socket"]);
  });

  test.each([
    [
      "is in a folder that others may write to",
      () => chmod(folder, 0o777),
      "x.sock",
      uid,
      /others may write/,
    ],
    ["is in a folder of somebody else", async () => {}, "x.sock", uid + 1, /of uid/],
    [
      "is a link",
      () => symlink(`${folder}/x.sock`, `${folder}/y.sock`),
      "y.sock",
      uid,
      /no socket of this user/,
    ],
    ["is a file", () => writeFile(`${folder}/z.sock`, ""), "z.sock", uid, /no socket of this user/],
    ["is not there", async () => {}, "no.sock", uid, /ENOENT/],
    ...(hasOtherUsers ? [anothersSocket] : []),
  ])("doesn't connect to one that %s", async (_, plant, name, ownUid, says) => {
    await plant();
    const { code, status } = await bridgeTo(`${folder}/${name}`, ownUid);
    expect(code).toBe(69);
    expect(status).toMatch(/^no-agent:/);
    expect(status).toMatch(says);
    expect(connections).toBe(0);
  });
});
