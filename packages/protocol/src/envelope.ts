import * as v from "valibot";
import { badMessage } from "./bad-message.ts";
import { wireError } from "./messages.ts";

const id = v.pipe(v.number(), v.safeInteger(), v.minValue(1));
const name = v.pipe(v.string(), v.minLength(1), v.maxLength(255));

/** What every message is wrapped in. Ids are counted by the asker, from 1 up. */
export const envelope = v.variant("kind", [
  v.object({ kind: v.literal("request"), id, name, params: v.unknown() }),
  v.object({ kind: v.literal("response"), id, result: v.unknown() }),
  v.object({ kind: v.literal("failure"), id, error: wireError }),
  v.object({ kind: v.literal("event"), name, data: v.unknown() }),
  v.object({ kind: v.literal("cancel"), id }),
]);
export type Envelope = v.InferOutput<typeof envelope>;

/** The envelope that `message` is; throws `protocol.bad-message`. */
export function openEnvelope(message: unknown): Envelope {
  const parsed = v.safeParse(envelope, message);
  if (!parsed.success) throw badMessage(`a message that is none${whereOf(parsed.issues)}`);
  return parsed.output;
}

/** What a field of ours is called; the keys of a free map are the other side's. */
const FIELD = /^[a-zA-Z]{1,32}$/;

/** Which field of a message is wrong, as ` (params.port)`; empty where the whole is. Holds no text that the other side made up. */
export function whereOf(issues: readonly v.BaseIssue<unknown>[]): string {
  const path = issues[0]?.path?.map((step) => {
    const key = step.type === "object" ? String(step.key) : "";
    return FIELD.test(key) ? key : "…";
  });
  return path === undefined ? "" : ` (${path.join(".")})`;
}
