import { CodedError } from "@farside/protocol";

/** What of a `pkcs11:` URI (RFC 7512) chooses a token and a key. */
export interface Pkcs11Uri {
  readonly token?: string;
  readonly serial?: string;
  readonly manufacturer?: string;
  readonly model?: string;
  /** CKA_LABEL of the key. */
  readonly object?: string;
  /** CKA_ID of the key. */
  readonly id?: Uint8Array;
  readonly modulePath?: string;
  /** As for `--pin-source`: `file:PATH`. */
  readonly pinSource?: string;
}

/** Attributes that say nothing to farside: they neither choose a key nor make the URI wrong. */
const ignored = new Set([
  "type",
  "library-manufacturer",
  "library-description",
  "library-version",
  "slot-description",
  "slot-manufacturer",
]);
const textAttributes = ["token", "serial", "manufacturer", "model", "object"] as const;
const isTextAttribute = (name: string): name is (typeof textAttributes)[number] =>
  (textAttributes as readonly string[]).includes(name);

export const isPkcs11Uri = (text: string): boolean => text.toLowerCase().startsWith("pkcs11:");

/** @throws CodedError `usage.invalid` that names the part; never repeats a PIN that the URI holds. */
export function parsePkcs11Uri(text: string): Pkcs11Uri {
  if (!isPkcs11Uri(text)) throw invalid(`it does not start with "pkcs11:"`);
  const [path = "", query = "", ...rest] = text.slice("pkcs11:".length).split("?");
  if (rest.length > 0) throw invalid("it has more than one question mark");
  const uri: { -readonly [Name in keyof Pkcs11Uri]: Pkcs11Uri[Name] } = {};
  const seen = new Set<string>();
  for (const [name, value] of [...pairs(path, ";"), ...pairs(query, "&")]) {
    if (seen.has(name)) throw invalid(`${name} is given twice`);
    seen.add(name);
    if (isTextAttribute(name)) uri[name] = decodeText(name, value);
    else if (name === "id") uri.id = decodeBytes(name, value);
    else if (name === "module-path") uri.modulePath = decodeText(name, value);
    else if (name === "pin-source") uri.pinSource = toPinSource(decodeText(name, value));
    else if (name === "pin-value")
      throw invalid(
        "pin-value would show the PIN to every process of this machine",
        "leave it out, and use --pin-source",
      );
    else if (name === "slot-id" || name === "module-name")
      throw invalid(`${name} is not supported`, "choose by token, serial, object, id and module-path");
    else if (!ignored.has(name) && !name.startsWith("x-")) throw invalid("it has an unknown attribute");
  }
  return uri;
}

function* pairs(part: string, separator: string): Generator<[string, string]> {
  for (const pair of part.split(separator)) {
    if (pair === "") continue;
    const equals = pair.indexOf("=");
    if (equals <= 0) throw invalid("an attribute has no value");
    yield [pair.slice(0, equals), pair.slice(equals + 1)];
  }
}

function decodeBytes(name: string, value: string): Uint8Array {
  if (/%(?![0-9a-f]{2})/i.test(value)) throw invalid(`${name} has a "%" without two hexadecimal digits`);
  return Buffer.from(
    value.replace(/%([0-9a-f]{2})/gi, (_, digits: string) =>
      String.fromCharCode(Number.parseInt(digits, 16)),
    ),
    "latin1",
  );
}

function decodeText(name: string, value: string): string {
  const text = Buffer.from(decodeBytes(name, value)).toString("utf8");
  if (/\p{Cc}|\ufffd/u.test(text)) throw invalid(`${name} is not readable text`);
  return text;
}

/** RFC 7512, 2.4: a file name or URI; a command behind "|" is refused. */
function toPinSource(value: string): string {
  if (value.startsWith("|"))
    throw invalid("pin-source names a command", "use a file, or --pin-source askpass");
  const path = value.replace(/^file:(\/\/)?/, "");
  if (!path.startsWith("/")) throw invalid("pin-source is not an absolute path");
  return `file:${path}`;
}

function invalid(reason: string, hint?: string): CodedError {
  return new CodedError("usage.invalid", `cannot use the pkcs11: URI: ${reason}`, { leg: "card", hint });
}
