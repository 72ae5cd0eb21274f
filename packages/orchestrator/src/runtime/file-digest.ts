import { type BinaryToTextEncoding, createHash } from "node:crypto";
import { createReadStream } from "node:fs";

/** Digest of the file at `path`. Rejects where it can't be read, or with the signal's reason. */
export async function fileDigest(
  path: string,
  {
    algorithm = "sha256",
    encoding = "hex",
    signal,
  }: {
    readonly algorithm?: "sha256" | "sha512";
    readonly encoding?: BinaryToTextEncoding;
    readonly signal?: AbortSignal | undefined;
  } = {},
): Promise<string> {
  const hash = createHash(algorithm);
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024, signal }))
    hash.update(chunk as Buffer);
  return hash.digest(encoding);
}
