import { expect, it } from "vitest";
import { sshFailure } from "./ssh-failure.ts";

const hop = (hopId: string, host: string) => ({
  ...{ hopId, user: "signer", host, port: 22 },
  ...{ hostKeys: [], publicKeys: [], pins: [] },
});
const route = [hop("hop-1", "gate"), hop("hop-2", "10.0.0.2")];
const meaningOf = (stderr: string, wasListening = false) =>
  sshFailure({ stderr, route, host: "me@jump", status: 255, wasListening });

/** What OpenSSH 9.2 and 10.0 print, and what it means. */
const meanings: readonly (readonly [printed: string, code: string, leg: string, says: RegExp])[] = [
  ["signer@gate: Permission denied (publickey).\r\n", "hop.auth-refused", "hop", /signer@gate:22/],
  [
    "signer@10.0.0.2: Permission denied (publickey,keyboard-interactive).\r\n",
    ...(["hop.auth-refused", "hop", /signer@10\.0\.0\.2:22.*keyboard-interactive/] as const),
  ],
  [
    "ssh: connect to host gate port 22: Connection refused\r\nConnection closed by UNKNOWN port 65535\r\n",
    ...(["hop.unreachable", "hop", /signer@gate:22.*the connection was refused/] as const),
  ],
  [
    "ssh: Could not resolve hostname gate: Name or service not known\r\n",
    ...(["hop.unreachable", "hop", /the name is not known/] as const),
  ],
  [
    "channel 0: open failed: connect failed: No route to host\r\nstdio forwarding failed\r\nConnection closed by UNKNOWN port 65535\r\n",
    ...(["hop.unreachable", "hop", /signer@10\.0\.0\.2:22.*No route/] as const),
  ],
  [
    "Unable to negotiate with 10.0.0.2 port 22: no matching key exchange method found. Their offer: mlkem768x25519-sha256\r\n",
    ...([
      "hop.handshake-failed",
      "hop",
      /no common key exchange; the host offers mlkem768x25519-sha256/,
    ] as const),
  ],
  [
    "No ED25519 host key is known for farside-hop-1 and you have requested strict checking.\r\nHost key verification failed.\r\n",
    ...(["host-key.changed", "hop", /signer@gate:22/] as const),
  ],
  [
    "Certificate invalid: expired\r\nNo ED25519 host key is known for farside-hop-1 and you have requested strict checking.\r\nHost key verification failed.\r\n",
    ...(["host-key.certificate-invalid", "hop", /signer@gate:22.*not valid: expired/] as const),
  ],
  [
    "Certificate invalid: expired\r\nsigner@gate: Permission denied (publickey).\r\n",
    ...(["hop.auth-refused", "hop", /signer@gate:22/] as const),
  ],
  [
    "@@@\r\n@       WARNING: REVOKED HOST KEY DETECTED!               @\r\nThe ED25519 host key for farside-hop-1 is marked as revoked.\r\nHost key verification failed.\r\n",
    ...(["host-key.revoked", "hop", /@revoked/] as const),
  ],
  [
    "bind [127.0.0.1]:4444: Address already in use\r\nchannel_setup_fwd_listener_tcpip: cannot listen to port: 4444\r\nCould not request local forwarding.\r\n",
    ...(["forward.port-in-use", "bind", /somebody else/] as const),
  ],
  [
    "bind [127.0.0.1]:80: Permission denied\r\nchannel_setup_fwd_listener_tcpip: cannot listen to port: 80\r\nCould not request local forwarding.\r\n",
    ...(["forward.bind-refused", "bind", /Permission denied/] as const),
  ],
  [
    "command-line: line 0: Bad configuration option: knownhostscommand\r\n",
    ...(["engine.ssh-too-old", "jump", /knownhostscommand/] as const),
  ],
  [
    "kex_exchange_identification: Connection closed by remote host\r\n",
    "hop.handshake-failed",
    "hop",
    /closed/,
  ],
  ["Connection timed out during banner exchange\r\n", "hop.unreachable", "hop", /timed out/],
  ["\x1b[31mwhat?\r\n", "hop.handshake-failed", "hop", /exited with 255; it printed: \\x1b\[31mwhat\?/],
];

it.each(meanings)("%j is its own error", (printed, code, leg, says) => {
  expect(meaningOf(printed)).toMatchObject({ code, leg, message: expect.stringMatching(says) });
});

it("an ssh that had come to listening has lost its hop, whatever it prints", () => {
  const lost = meaningOf("Timeout, server 10.0.0.2 not responding.\r\n", true);
  expect(lost).toMatchObject({
    code: "hop.lost",
    leg: "hop",
    message: expect.stringMatching(/not responding/),
  });
});
