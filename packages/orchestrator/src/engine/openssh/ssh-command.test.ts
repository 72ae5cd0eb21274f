import { expect, it } from "vitest";
import { forwardWords, type SshHop } from "./ssh-command.ts";

const blob = (type: string, ...parts: Uint8Array[]): Buffer =>
  Buffer.concat(
    [Buffer.from(type), ...parts].flatMap((part) => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(part.length);
      return [length, part];
    }),
  );
const rsa = blob("ssh-rsa", Buffer.from([1, 0, 1]), Buffer.alloc(256, 1));
const hop: SshHop = {
  ...{ hopId: "hop-1", user: "u", host: "h", port: 22, publicKeys: [] },
  ...{ hostKeys: [rsa], pins: [] },
};
const algorithms = (changes: Partial<SshHop>) =>
  forwardWords([{ ...hop, ...changes }], [], { onListening: ":" })
    .find((word) => word.startsWith("HostKeyAlgorithms="))
    ?.slice("HostKeyAlgorithms=".length);

it("asks for a type of host key that is known, and first for it where another may be pinned, as ssh does by known_hosts", () => {
  expect(algorithms({})).toBe("rsa-sha2-512,rsa-sha2-256");
  const pins = [`SHA256:${"A".repeat(43)}`];
  const others = "ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521";
  expect(algorithms({ pins })).toBe(`rsa-sha2-512,rsa-sha2-256,${others}`);
  expect(algorithms({ pins, hostKeys: [] })).toBe(`${others},rsa-sha2-512,rsa-sha2-256`);
});
