import { isCodedError } from "@farside/protocol";
import fc from "fast-check";
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

describe("any pkcs11: URI", () => {
  const plain = /[A-Za-z0-9_.~-]/;
  /** Some bytes may stand as they are; the others are escaped, in either case. */
  const escaped = (bytes: Uint8Array, isUpper: boolean): string =>
    [...bytes]
      .map((byte) => {
        const character = String.fromCharCode(byte);
        const digits = byte.toString(16).padStart(2, "0");
        return plain.test(character) ? character : `%${isUpper ? digits.toUpperCase() : digits}`;
      })
      .join("");
  const text = fc
    .string({ unit: "grapheme", minLength: 1, maxLength: 20 })
    .filter((each) => !/\p{Cc}|\ufffd/u.test(each));
  const parts = fc.record(
    {
      ...{ token: text, serial: text, manufacturer: text, model: text, object: text },
      id: fc.uint8Array({ minLength: 1, maxLength: 20 }),
    },
    { requiredKeys: [] },
  );

  it("that was written from parts reads as those parts", () => {
    fc.assert(
      fc.property(parts, fc.boolean(), fc.boolean(), (given, isUpper, hasModule) => {
        const attributes = Object.entries(given).map(([name, value]) => {
          const bytes = typeof value === "string" ? Buffer.from(value) : (value as Uint8Array);
          return `${name}=${escaped(bytes, isUpper)}`;
        });
        const query = hasModule ? "?module-path=/usr/lib/x.so" : "";
        const { id, modulePath, ...rest } = parsePkcs11Uri(`pkcs11:${attributes.join(";")}${query}`);
        const { id: givenId, ...givenRest } = given;
        expect(rest).toEqual(givenRest);
        expect(id === undefined ? undefined : [...id]).toEqual(
          givenId === undefined ? undefined : [...givenId],
        );
        expect(modulePath).toBe(hasModule ? "/usr/lib/x.so" : undefined);
      }),
    );
  });

  it("is read, or is usage.invalid that repeats nothing of it", () => {
    const word = fc.constantFrom(
      "token=a",
      ";",
      "?",
      "&",
      "id=%0",
      "id=%zz",
      "pin-value=4711secret",
      "=",
      "%",
      "x-a=b",
    );
    const any = fc.array(fc.oneof(word, fc.string({ unit: "binary", maxLength: 8 })), { maxLength: 12 });
    fc.assert(
      fc.property(any, (pieces) => {
        const uri = `pkcs11:${pieces.join("")}`;
        try {
          const read = parsePkcs11Uri(uri);
          expect(JSON.stringify(read)).not.toContain("__proto__");
        } catch (error) {
          if (!isCodedError(error)) throw error;
          expect(error.code).toBe("usage.invalid");
          expect(`${error.message}${error.hint}`).not.toMatch(/4711secret|\p{Cc}/u);
        }
      }),
      { numRuns: 3_000 },
    );
  });
});
