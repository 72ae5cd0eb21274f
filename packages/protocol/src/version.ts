import { CodedError } from "./errors.ts";

/** The versions of the protocol that this code speaks, oldest and newest. */
export const PROTOCOL_VERSIONS = { min: 1, max: 1 } as const;

export interface VersionRange {
  readonly min: number;
  readonly max: number;
}

/** The highest version that both ranges hold; throws `protocol.version` where there is none. */
export function negotiate(ours: VersionRange, theirs: VersionRange): number {
  const version = Math.min(ours.max, theirs.max);
  if (version < Math.max(ours.min, theirs.min) || theirs.min > theirs.max) {
    throw new CodedError(
      "protocol.version",
      `cannot agree on a protocol version: this side speaks ${ours.min} to ${ours.max}, the other ${theirs.min} to ${theirs.max}`,
      { hint: "Use the same farside version on both ends." },
    );
  }
  return version;
}
