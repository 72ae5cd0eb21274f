import { expect, it } from "vitest";
import { signerEnvironment } from "./signer-environment.ts";

it("passes what a module needs and nothing else", () => {
  expect(
    signerEnvironment({
      HOME: "/home/a",
      LC_ALL: "C",
      PCSCLITE_CSOCK_NAME: "/run/x",
      SOFTHSM2_CONF: "/x",
      MY_PIN: "1",
      NODE_OPTIONS: "--inspect",
      SSH_AUTH_SOCK: "/y",
      OPENSC_DEBUG: "9",
      OPENSC_CONF: "/theirs",
      PKCS11SPY: "/z",
    }),
  ).toEqual({ HOME: "/home/a", LC_ALL: "C", PCSCLITE_CSOCK_NAME: "/run/x", SOFTHSM2_CONF: "/x" });
});
