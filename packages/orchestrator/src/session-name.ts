import { randomBytes, randomInt } from "node:crypto";
import { CodedError } from "@farside/protocol";
import { isAuditName } from "@farside/protocol/audit";

const ADJECTIVES =
  "amber brave calm clear cosy early fair fresh gentle glad green happy keen kind light lucky merry mild neat proud quick quiet sunny swift tidy warm".split(
    " ",
  );
const NOUNS =
  "apple badger birch brook cedar cloud clover creek ember fern field finch harbor hazel heron island lake maple meadow otter pebble pine quartz reed river robin shore sparrow stone willow".split(
    " ",
  );

/** A name for a session that nobody chose one for: `calm-otter-3f9a`. */
export function generateSessionName(): string {
  const word = (words: readonly string[]) => words[randomInt(words.length)];
  return `${word(ADJECTIVES)}-${word(NOUNS)}-${randomBytes(2).toString("hex")}`;
}

/** Returns `name`; throws `usage.invalid` for one that could not be a folder's name everywhere. */
export function checkSessionName(name: string): string {
  if (isAuditName(name)) {
    throw new CodedError("usage.invalid", `cannot name a session ${name}: the audit log has such names`, {
      hint: "Take another name.",
    });
  }
  if (/^[A-Za-z0-9._-]{1,64}$/.test(name) && !/^\.+$/.test(name) && !name.startsWith("-")) return name;
  throw new CodedError("usage.invalid", `cannot name a session ${JSON.stringify(name)}`, {
    hint: "Use 1 to 64 letters, digits, dots, dashes and underscores, no dash in front.",
  });
}
