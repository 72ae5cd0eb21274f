import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { CodedError } from "@farside/protocol/errors";

/** What is sent to jump hosts: the session agent, the resident agent, the installed one, and the way to a control socket. */
export const bundleNames = ["agent", "resident-agent", "installed-agent", "bridge"] as const;
export type BundleName = (typeof bundleNames)[number];

/** The agent as one file, ready to be sent. */
export interface AgentBundle {
  /** Of the readable file, which `compressed` unpacks to. */
  readonly path: string;
  /** Brotli. */
  readonly compressed: Buffer;
  /** SHA-256 of `compressed`, hex: what the host checks before it runs a byte, and what the agent's hello says. */
  readonly digest: string;
  /** SHA-256 of the file at `path`, hex. */
  readonly fileDigest: string;
  /** Size of the file at `path`. */
  readonly bytes: number;
  /** Version of farside that it was made from. */
  readonly version: string;
}

/** What `npm run bundle` writes beside each bundle, in NAME.json. */
export interface BundleManifest {
  readonly version: string;
  readonly digest: string;
  readonly compressedDigest: string;
  readonly bytes: number;
  readonly compressedBytes: number;
}

/** The folder that `npm run bundle` writes to; the same from source and from dist. */
export const bundleFolder = fileURLToPath(new URL("../dist/", import.meta.url));

/** Reads a bundle that `npm run bundle` has made. Throws `config.invalid` where it is missing or damaged. */
export function agentBundle(folder: string = bundleFolder, name: BundleName = "agent"): AgentBundle {
  const path = `${folder}${name}.cjs`;
  let manifest: BundleManifest;
  let compressed: Buffer;
  try {
    manifest = JSON.parse(readFileSync(`${folder}${name}.json`, "utf8")) as BundleManifest;
    compressed = readFileSync(`${path}.br`);
  } catch (error) {
    throw new CodedError("config.invalid", `cannot read the bundle ${name} in ${folder}: it is not there`, {
      hint: "Run: npm run bundle",
      cause: error,
    });
  }
  const digest = createHash("sha256").update(compressed).digest("hex");
  if (digest !== manifest.compressedDigest) {
    throw new CodedError(
      "config.invalid",
      `cannot use the bundle ${name} in ${folder}: its digest is not the one it was made with`,
      {
        hint: "Run: npm run bundle",
      },
    );
  }
  return {
    path,
    compressed,
    digest,
    fileDigest: manifest.digest,
    bytes: manifest.bytes,
    version: manifest.version,
  };
}
