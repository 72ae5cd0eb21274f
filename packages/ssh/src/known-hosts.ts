import { randomBytes } from "node:crypto";
import { appendFile, mkdir, open, readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { CodedError } from "@farside/protocol";
import { fingerprint } from "./fingerprint.ts";
import type { HostAuthorities } from "./host-certificate.ts";
import type { HostKeyPlace, HostKeyVerifier } from "./host-key.ts";
import {
  hashedName,
  type KnownHostsEntry,
  knownHostsName,
  matchesHosts,
  parseKnownHosts,
} from "./known-hosts-file.ts";
import { keyTypeOf } from "./public-key-type.ts";

export interface HostKeyQuestion {
  readonly place: HostKeyPlace;
  readonly type: string;
  /** `SHA256:…` */
  readonly fingerprint: string;
}

export interface KnownHostsOptions {
  /** UserKnownHostsFile: a new key is appended to the first. Files that don't exist are empty. */
  readonly files: readonly string[];
  /** GlobalKnownHostsFile: read only. */
  readonly globalFiles?: readonly string[] | undefined;
  /** What happens with a host that is in none of the files; ssh's StrictHostKeyChecking. Changed and revoked keys are always refused. */
  readonly check: "strict" | "ask" | "accept-new";
  /** For `ask`; without it `ask` is `strict`. */
  readonly ask?:
    | ((question: HostKeyQuestion, options: { signal: AbortSignal | undefined }) => Promise<boolean>)
    | undefined;
  /** HashKnownHosts. */
  readonly hash?: boolean | undefined;
  /** Called with one line for what could not be kept: an unreadable file, a @cert-authority, a key that could not be saved. */
  readonly onWarning?: ((text: string) => void) | undefined;
}

/**
 * Checks host keys against known_hosts as ssh(1) does with CheckHostIP no, and stricter in one thing: a host of which only
 * keys of other types are known is a changed host.
 */
export class KnownHosts implements HostKeyVerifier {
  readonly #options: KnownHostsOptions;
  readonly #entries: KnownHostsEntry[];

  static async load(options: KnownHostsOptions): Promise<KnownHosts> {
    const files = [...options.files, ...(options.globalFiles ?? [])];
    const entries = await Promise.all(files.map((file) => readEntries(file, options.onWarning)));
    return new KnownHosts(options, entries.flat());
  }

  private constructor(options: KnownHostsOptions, entries: KnownHostsEntry[]) {
    this.#options = options;
    this.#entries = entries;
  }

  keyTypes(place: HostKeyPlace): readonly string[] {
    return [...new Set(this.#known(place).map(({ type }) => type))];
  }

  /** The key blobs that are accepted for a host, without asking or writing anything; empty where it is unknown. */
  knownKeys(place: HostKeyPlace): readonly Uint8Array[] {
    return this.#known(place)
      .map(({ blob }) => blob)
      .filter((blob) => this.#revoked(place, blob) === undefined);
  }

  /** The certificate authorities of a host, and what is revoked for it; certificates are not looked at here. */
  authorities(place: HostKeyPlace): Pick<HostAuthorities, "keys" | "revoked"> {
    const revoked = this.#anywhere(place, "@revoked");
    const isRevoked = (blob: Buffer) => revoked.some((entry) => entry.blob.equals(blob));
    const keys = this.#anywhere(place, "@cert-authority").filter(({ blob }) => !isRevoked(blob));
    return { keys: keys.map(({ blob }) => blob), revoked: revoked.map(({ blob }) => blob) };
  }

  /** Names under which `blob` is in the files, hashed ones left as they are: a key that is known under another name. */
  namesOf(blob: Uint8Array): readonly string[] {
    return this.#entries
      .filter((entry) => entry.marker === "" && entry.blob.equals(blob))
      .map(({ hosts }) => hosts);
  }

  async verify(
    blob: Uint8Array,
    place: HostKeyPlace,
    { signal }: { signal?: AbortSignal | undefined } = {},
  ): Promise<void> {
    const name = knownHostsName(place.host, place.port);
    const shown = fingerprint(blob);
    const data = { fingerprint: shown, host: place.host, port: place.port };
    const revoked = this.#revoked(place, blob);
    if (revoked !== undefined)
      throw new CodedError(
        "host-key.revoked",
        `the host key of ${name} is ${shown}, which ${revoked.file}:${revoked.line} marks @revoked`,
        {
          hint: "Don't connect; ask the host's administrator for its new key.",
          data,
        },
      );
    const known = this.#known(place);
    if (known.some((entry) => entry.blob.equals(blob))) return;
    const type = keyTypeOf(blob);
    const other = known.find((entry) => entry.type === type) ?? known[0];
    if (other !== undefined) throw changed(name, type, shown, other, data);
    this.#warnOfAuthorities(name);
    await this.#admit(blob, { place, type, fingerprint: shown }, name, signal);
  }

  async #admit(
    blob: Uint8Array,
    question: HostKeyQuestion,
    name: string,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { check, ask } = this.#options;
    const { type, fingerprint: shown, place } = question;
    const data = { fingerprint: shown, host: place.host, port: place.port };
    if (check === "ask" && ask !== undefined) {
      const isAccepted = await ask(question, { signal });
      signal?.throwIfAborted();
      if (!isAccepted)
        throw new CodedError(
          "host-key.declined",
          `the host key of ${name}, ${type} ${shown}, was not accepted`,
          { data },
        );
    } else if (check !== "accept-new") {
      throw new CodedError("host-key.unknown", `the host key of ${name} is unknown: ${type} ${shown}`, {
        hint: `Compare the fingerprint with the host's administrator, then connect once with ssh, or add it to ${this.#options.files[0] ?? "known_hosts"}.`,
        data,
      });
    }
    await this.#save(blob, type, name);
  }

  async #save(blob: Uint8Array, type: string, name: string): Promise<void> {
    const file = this.#options.files[0];
    const encoded = Buffer.from(blob);
    const hosts = this.#options.hash === true ? hashedName(name, randomBytes(20)) : name;
    this.#entries.push({ file: file ?? "", line: 0, marker: "", hosts, type, blob: encoded });
    if (file === undefined) return;
    try {
      // Such a name would be a pattern, or a line of its own.
      if (/[\s,*?!|@#\p{C}]/u.test(name)) throw new Error("the host's name does not fit into a line");
      await appendLine(file, `${hosts} ${type} ${encoded.toString("base64")}\n`);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#options.onWarning?.(`the host key of ${name} could not be added to ${file}: ${reason}`);
    }
  }

  #known(place: HostKeyPlace): KnownHostsEntry[] {
    const exact = this.#matching(place, "");
    // As ssh does: a host on another port may be known by its name alone.
    return exact.length > 0 || place.port === 22 ? exact : this.#matching({ ...place, port: 22 }, "");
  }

  #revoked(place: HostKeyPlace, blob: Uint8Array): KnownHostsEntry | undefined {
    return this.#anywhere(place, "@revoked").find((entry) => entry.blob.equals(blob));
  }

  /** The entries for the host as it was asked for, and for its name alone. */
  #anywhere(place: HostKeyPlace, marker: KnownHostsEntry["marker"]): KnownHostsEntry[] {
    const places = [place, { ...place, port: 22 }];
    return [...new Set(places.flatMap((at) => this.#matching(at, marker)))];
  }

  #matching({ host, port }: HostKeyPlace, marker: KnownHostsEntry["marker"]): KnownHostsEntry[] {
    const name = knownHostsName(host, port);
    return this.#entries.filter((entry) => entry.marker === marker && matchesHosts(entry.hosts, name));
  }

  #warnOfAuthorities(name: string): void {
    const authority = this.#entries.find(
      (entry) => entry.marker === "@cert-authority" && matchesHosts(entry.hosts, name),
    );
    if (authority === undefined) return;
    this.#options.onWarning?.(
      `${authority.file}:${authority.line} has a @cert-authority for ${name}; farside can't check host certificates and looks at plain keys only`,
    );
  }
}

function changed(
  name: string,
  type: string,
  shown: string,
  other: KnownHostsEntry,
  data: Record<string, string | number>,
): CodedError {
  const where = other.line === 0 ? "this session" : `${other.file}:${other.line}`;
  return new CodedError(
    "host-key.changed",
    `the host key of ${name} is ${type} ${shown}, but ${where} has ${other.type} ${fingerprint(other.blob)}`,
    {
      hint: `Somebody may be listening in. If the host was set up anew: ssh-keygen -R '${name}' -f ${other.file}`,
      data: { ...data, knownAt: where },
    },
  );
}

async function readEntries(
  file: string,
  onWarning: KnownHostsOptions["onWarning"],
): Promise<KnownHostsEntry[]> {
  try {
    return parseKnownHosts(await readFile(file, "utf8"), file);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== "ENOENT" && code !== "ENOTDIR") onWarning?.(`${file} can't be read: ${message}`);
    return [];
  }
}

async function appendLine(file: string, line: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const handle = await open(file, "a+", 0o600);
  try {
    const { size } = await handle.stat();
    const last = Buffer.alloc(1);
    if (size > 0) await handle.read(last, 0, 1, size - 1);
    const isUnfinished = size > 0 && last[0] !== 0x0a;
    // One write, so that two programs that append at once don't mix their lines.
    await appendFile(handle, `${isUnfinished ? "\n" : ""}${line}`);
  } finally {
    await handle.close();
  }
}
