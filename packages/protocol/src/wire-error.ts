import * as v from "valibot";
import { MAX_STRING_LENGTH } from "./limits.ts";

const text = v.pipe(v.string(), v.maxLength(MAX_STRING_LENGTH));
const name = v.pipe(v.string(), v.minLength(1), v.maxLength(255));

/** The part of the way that something is about; see `Leg`. */
export const leg = v.picklist(["card", "jump", "bind", "hop", "target"]);

/** An error as it crosses the wire; see errors.ts. */
export const wireError = v.object({
  code: name,
  message: text,
  hint: v.optional(text),
  leg: v.optional(leg),
  data: v.optional(v.record(name, v.union([text, v.number(), v.boolean()]))),
});
