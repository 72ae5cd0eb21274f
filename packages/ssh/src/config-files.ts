import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
// The barrel itself would be wrapped whole in every bundle that has this dynamic import in reach, the agent's too.
import { CodedError } from "@farside/protocol/errors";
import sshConfig from "ssh-config";
import type { ConfigValues } from "./config-values.ts";
import type { ResolveOptions } from "./resolve-host.ts";

const systemConfigFile = "/etc/ssh/ssh_config";
const defaultIdentities = ["id_rsa", "id_ecdsa", "id_ed25519"];

/** ssh's own defaults, for what `ssh -G` would print without any configuration. */
const defaults: Readonly<Record<string, readonly string[]>> = {
  identityfile: defaultIdentities.map((name) => `~/.ssh/${name}`),
  userknownhostsfile: ["~/.ssh/known_hosts ~/.ssh/known_hosts2"],
  globalknownhostsfile: ["/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2"],
};

/** The options of one host as `ssh -G` would print them, read by the ssh-config library: for machines without ssh. */
export async function readConfigFiles(alias: string, options: ResolveOptions): Promise<ConfigValues> {
  const { configFile, overrides = {} } = options;
  const files = configFile === undefined ? [join(homedir(), ".ssh/config"), systemConfigFile] : [configFile];
  const texts = await Promise.all(files.map((file) => readText(file, configFile !== undefined)));
  const values = new Map<string, readonly string[]>();
  const add = (name: string, found: readonly string[]) => {
    const key = name.toLowerCase();
    // The first value of an option counts, but identities add up.
    if (key === "identityfile") values.set(key, [...(values.get(key) ?? []), ...found]);
    else if (!values.has(key)) values.set(key, found);
  };
  for (const [name, value] of Object.entries(overrides)) add(name, [value]);
  if (options.user !== undefined) add("user", [options.user]);
  if (options.port !== undefined) add("port", [String(options.port)]);
  // One text, so that the user's file comes first and `Host` lines mean the same in both.
  const config = sshConfig.parse(texts.join("\nHost *\n"));
  for (const [name, value] of Object.entries(config.compute(alias)))
    add(name, joined(name, Array.isArray(value) ? value : [value]));
  for (const [name, value] of Object.entries(defaults)) if (!values.has(name)) values.set(name, value);
  return values;
}

/** `ssh -G` prints several known_hosts files on one line, but several identities on a line each. */
function joined(name: string, value: readonly string[]): readonly string[] {
  const isJoined = /^(?:user|global)knownhostsfile$|^proxycommand$/iu.test(name);
  return isJoined ? [value.join(" ")] : value;
}

async function readText(file: string, isRequired: boolean): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    if (!isRequired && (error as NodeJS.ErrnoException).code === "ENOENT") return "";
    throw new CodedError("config.invalid", `reading ${file}: ${(error as Error).message}`);
  }
}
