import { describe, expect, it } from "vitest";
import { isPkcs11Uri, parsePkcs11Uri } from "./pkcs11-uri.ts";

const failure = (text: string): { code?: string; message: string; hint?: string } => {
  try {
    parsePkcs11Uri(text);
  } catch (error) {
    return error as Error;
  }
  throw new Error(`accepted: ${text}`);
};

describe("parsePkcs11Uri", () => {
  it("reads what chooses a token and a key (RFC 7512, 3)", () => {
    expect(
      parsePkcs11Uri(
        "pkcs11:token=The%20Software%20PKCS%2311%20Softtoken;manufacturer=Snake%20Oil,%20Inc.;model=1.0;" +
          "serial=0af3;object=my-certificate;type=private;id=%69%95%3E%5C%F4%bd%ec%91" +
          "?module-path=/usr/lib/x.so&pin-source=file:/etc/token_pin",
      ),
    ).toEqual({
      token: "The Software PKCS#11 Softtoken",
      manufacturer: "Snake Oil, Inc.",
      model: "1.0",
      serial: "0af3",
      object: "my-certificate",
      id: Buffer.from("69953e5cf4bdec91", "hex"),
      modulePath: "/usr/lib/x.so",
      pinSource: "file:/etc/token_pin",
    });
    expect(parsePkcs11Uri("pkcs11:")).toEqual({});
    expect(parsePkcs11Uri("PKCS11:object=%E2%82%AC;x-vendor=1")).toEqual({ object: "€" });
    expect(isPkcs11Uri("/usr/lib/x")).toBe(false);
  });

  it("refuses a PIN in the URI without repeating it", () => {
    const { code, message, hint } = failure("pkcs11:token=a?pin-value=123456");
    expect({ code, hint }).toEqual({ code: "usage.invalid", hint: "leave it out, and use --pin-source" });
    expect(message).not.toContain("123456");
  });

  it.each([
    ["pkcs11:token", "no value"],
    ["pkcs11:=x", "no value"],
    ["pkcs11:token=a;token=b", "token is given twice"],
    ["pkcs11:token=%zz", 'token has a "%"'],
    ["pkcs11:token=%00", "token is not readable text"],
    ["pkcs11:token=%ff", "token is not readable text"],
    ["pkcs11:slot-id=3", "slot-id is not supported"],
    ["pkcs11:nonsense=3", "unknown attribute"],
    ["pkcs11:?pin-source=|cat", "names a command"],
    ["pkcs11:?pin-source=relative", "not an absolute path"],
    ["pkcs11:a=b?c=d?e=f", "more than one question mark"],
    ["/usr/lib/x.so", "does not start with"],
  ])("refuses %s and says why", (text, says) => {
    expect(failure(text)).toMatchObject({ code: "usage.invalid", message: expect.stringContaining(says) });
  });
});
