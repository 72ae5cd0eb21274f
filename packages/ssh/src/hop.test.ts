import { text } from "node:stream/consumers";
import { expect, test } from "vitest";
import { Hop } from "./hop.ts";
import { KeyFileIdentity } from "./key-file-identity.ts";
import { PinnedHostKeys } from "./pinned-host-keys.ts";
import { startSshd } from "./testing/sshd.ts";

test("a command's stdin, stdout, stderr and exit status pass through a hop", async () => {
  await using sshd = await startSshd();
  await using identity = await KeyFileIdentity.open({ files: [sshd.userKey.path] });
  await using hop = await Hop.connect({
    user: sshd.user,
    host: sshd.host,
    port: sshd.port,
    leg: "jump",
    identity,
    hostKeys: new PinnedHostKeys(sshd.hostKeys.map(({ publicKey }) => publicKey.blob)),
    requireSignature: true,
  });
  const command = await hop.exec("cat; echo oops >&2; exit 7");
  command.end("hello");
  expect(await text(command)).toBe("hello");
  expect(await command.exit).toEqual({ code: 7, signal: null });
  expect(command.stderr.text()).toBe("oops\n");
});
