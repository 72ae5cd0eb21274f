import { isCodedError } from "@farside/protocol";
import type { FuzzTarget } from "@farside/protocol/testing";
import { parsePkcs11Uri } from "../pkcs11-uri.ts";

const PIN = "4711secret";

/** Decoders of what is written on the command line; for `fuzz`. */
export const fuzzTargets: readonly FuzzTarget[] = [
  {
    name: "pkcs11: URI",
    seeds: [
      Buffer.from("pkcs11:token=a%20b;id=%69%95;object=x?module-path=/usr/lib/x.so&pin-source=file:/p"),
      Buffer.from(`pkcs11:serial=1?pin-value=${PIN}`),
    ],
    words: ["pkcs11:", "token=", "id=", "%", ";", "&", "?", "pin-value=", "pin-source=", "|", "__proto__="],
    longest: 500,
    run(input) {
      try {
        parsePkcs11Uri(input.toString("utf8"));
      } catch (error) {
        if (!isCodedError(error) || error.code !== "usage.invalid") throw error;
        if (`${error.message}${error.hint}`.includes(PIN)) throw new Error("an error that tells the PIN");
      }
    },
  },
];
