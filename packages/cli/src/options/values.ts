import { isCodedError } from "@farside/protocol/errors";
import { usageError } from "../usage-error.ts";

type Parse<T> = (text: string, option: string) => T;

/** Between a message and its hint. No argument can hold it. */
const HINT_MARK = "\0";

/** yargs keeps nothing of what `coerce` throws but the message: so the hint travels in it. */
function packed(error: unknown): unknown {
  if (!isCodedError(error) || error.hint === undefined) return error;
  return new Error(`${error.message}${HINT_MARK}${error.hint}`);
}

/** The message and the hint of what `coerce` threw, or of any other message of yargs. */
export function unpacked(message: string): { readonly message: string; readonly hint: string | undefined } {
  const [text = "", hint] = message.split(HINT_MARK, 2);
  return { message: text, hint };
}

function packing<T>(coerce: (value: unknown) => T): (value: unknown) => T {
  return (value) => {
    try {
      return coerce(value);
    } catch (error) {
      throw packed(error);
    }
  };
}

function textOf(value: unknown, option: string): string {
  if (typeof value !== "string") throw usageError(`${option} needs a value`);
  if (value === "") throw usageError(`${option} needs a value, and got an empty one`);
  return value;
}

/** yargs `coerce` of an option that may be given once: yargs itself would make a list of a second one. */
export function once<T>(option: string, parse: Parse<T>): (value: unknown) => T | undefined {
  return packing((value) => {
    if (value === undefined) return undefined;
    if (Array.isArray(value)) throw usageError(`${option} is given ${value.length} times`, "Give it once.");
    return parse(textOf(value, option), option);
  });
}

/** yargs `coerce` of an option that may be repeated. */
export function repeated<T>(option: string, parse: Parse<T>): (value: unknown) => readonly T[] | undefined {
  return packing((value) => {
    if (value === undefined) return undefined;
    const values: readonly unknown[] = Array.isArray(value) ? value : [value];
    return values.map((one) => parse(textOf(one, option), option));
  });
}

/** The text as it is. */
export const asText: Parse<string> = (text) => text;

/** One of a closed list of words. */
export function oneOf<const Word extends string>(words: readonly Word[]): Parse<Word> {
  return (text, option) => {
    const word = words.find((known) => known === text);
    if (word !== undefined) return word;
    throw usageError(`${option}: "${text}" is not one of ${words.join(", ")}`);
  };
}

/** A whole number from `min` to `max`. */
export function wholeNumber(min: number, max: number): Parse<number> {
  return (text, option) => {
    const number = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
    if (number >= min && number <= max) return number;
    throw usageError(`${option}: "${text}" is not a whole number from ${min} to ${max}`);
  };
}

/** `fd:N`, a descriptor that is open for us. */
export const descriptor: Parse<number> = (text, option) => {
  const match = /^fd:(\d{1,6})$/.exec(text);
  if (match !== null && Number(match[1]) > 0) return Number(match[1]);
  throw usageError(`${option}: "${text}" is not fd:N`, `Example: ${option} fd:3 3>events.jsonl`);
};

/** `NAME`, as a session is named: it becomes a folder. */
export const sessionName: Parse<string> = (text, option) => {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(text)) return text;
  throw usageError(
    `${option}: "${text}" is not a session name`,
    "Letters, digits, dot, dash and underscore; at most 64; a letter or digit first.",
  );
};

/** The name of an installed agent: it becomes a folder and a unit. */
export const agentNameOf: Parse<string> = (text, option) => {
  if (/^[a-z][a-z0-9-]{0,31}$/.test(text)) return text;
  throw usageError(
    `${option}: "${text}" is not the name of an agent`,
    "Small letters, digits and dashes; at most 32; a letter first.",
  );
};
