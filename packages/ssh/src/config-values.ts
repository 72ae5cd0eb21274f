import { homedir, hostname, userInfo } from "node:os";
import { isAbsolute, join, resolve } from "node:path";
import { CodedError, harmless } from "@farside/protocol";
import type { HostConfig } from "./host-config.ts";
import { unsupportedOptions } from "./unsupported-options.ts";

/** Options of one host: names in lower case, every value in the order of the file. What `ssh -G` prints. */
export type ConfigValues = ReadonlyMap<string, readonly string[]>;

/** Makes a HostConfig of the options; throws `config.invalid` where one has no meaning. */
export function interpretConfig(alias: string, values: ConfigValues): HostConfig {
  const first = (name: string) => values.get(name)?.[0];
  const optional = (name: string) => {
    const value = first(name);
    return value === undefined || value === "none" || value === "" ? undefined : value;
  };
  const isYes = (name: string) => /^(?:yes|true)$/iu.test(first(name) ?? "");
  const number = (name: string, value: string | undefined) => {
    if (value === undefined) return undefined;
    if (!/^\d{1,9}$/u.test(value)) throw invalid(alias, name, value);
    return Number(value);
  };
  const seconds = (name: string) => {
    const count = number(name, optional(name));
    return count === undefined || count === 0 ? undefined : count * 1000;
  };

  const user = optional("user") ?? userInfo().username;
  const hostName = optional("hostname") ?? alias;
  const port = number("port", optional("port")) ?? 22;
  if (port < 1 || port > 65_535) throw invalid(alias, "port", String(port));
  const tokens = { "%": "%", h: hostName, n: alias, p: String(port), r: user };
  const fileTokens = {
    ...tokens,
    d: homedir(),
    i: String(process.getuid?.() ?? 0),
    k: optional("hostkeyalias") ?? alias,
    l: hostname(),
    L: hostname().split(".")[0] ?? "",
    u: userInfo().username,
  };
  const path = (text: string) => absolutePath(expandTokens(alias, text, fileTokens));
  const family = first("addressfamily");
  const command = optional("proxycommand");

  return {
    alias,
    user,
    hostName,
    port,
    hostKeyAlias: optional("hostkeyalias"),
    proxyJump: optional("proxyjump")?.split(",") ?? [],
    proxyCommand: command === undefined ? undefined : expandCommand(alias, command, tokens),
    identityFiles: (values.get("identityfile") ?? []).filter((file) => file !== "none").map(path),
    identitiesOnly: isYes("identitiesonly"),
    identityAgent: agentOf(first("identityagent"), path),
    pkcs11Provider: optional("pkcs11provider"),
    userKnownHostsFiles: paths(first("userknownhostsfile")).map(path),
    globalKnownHostsFiles: paths(first("globalknownhostsfile")).map(path),
    strictHostKeyChecking: checkOf(alias, first("stricthostkeychecking")),
    hashKnownHosts: isYes("hashknownhosts"),
    batchMode: isYes("batchmode"),
    addressFamily: family === "inet" ? 4 : family === "inet6" ? 6 : undefined,
    bindAddress: optional("bindaddress"),
    connectTimeoutMs: seconds("connecttimeout"),
    serverAliveIntervalMs: seconds("serveraliveinterval"),
    serverAliveCountMax: number("serveralivecountmax", optional("serveralivecountmax")),
    algorithms: {
      kex: list(first("kexalgorithms")),
      ciphers: list(first("ciphers")),
      macs: list(first("macs")),
      hostKeys: list(first("hostkeyalgorithms")),
      signatures: list(first("pubkeyacceptedalgorithms")),
    },
    unsupported: unsupportedOptions(values),
  };
}

/** ssh joins the files with spaces and does not quote them; as they are absolute, a piece that is not belongs to the one before it. */
function paths(text = ""): string[] {
  const files: string[] = [];
  for (const piece of text.split(" ")) {
    if (piece === "none" || piece === "") continue;
    const isStart = /^[/~%]/u.test(piece) || files.length === 0;
    if (isStart) files.push(piece);
    else files.push(`${files.pop()} ${piece}`);
  }
  return files;
}

function list(text: string | undefined): readonly string[] | undefined {
  return text?.split(",");
}

function agentOf(value: string | undefined, path: (text: string) => string): string | undefined {
  if (value === undefined || value === "SSH_AUTH_SOCK") return undefined;
  if (value === "none") return "none";
  const variable = /^\$(?:\{(\w+)\}|(\w+))$/u.exec(value);
  return variable === null ? path(value) : (process.env[variable[1] ?? variable[2] ?? ""] ?? "none");
}

function checkOf(alias: string, value = "ask"): HostConfig["strictHostKeyChecking"] {
  switch (value.toLowerCase()) {
    case "yes":
    case "true":
      return "strict";
    case "no":
    case "false":
    case "off":
      return "off";
    case "ask":
    case "accept-new":
      return value.toLowerCase() as "ask" | "accept-new";
    default:
      throw invalid(alias, "stricthostkeychecking", value);
  }
}

function absolutePath(path: string): string {
  if (path === "~" || path.startsWith("~/")) return join(homedir(), path.slice(1));
  return isAbsolute(path) ? path : resolve(path);
}

function expandTokens(alias: string, text: string, tokens: Readonly<Record<string, string>>): string {
  const expanded = text.replace(/%(.?)/gu, (found, letter: string) => {
    if (!Object.hasOwn(tokens, letter)) throw invalid(alias, "a path", `${text} (${found} is not known)`);
    return tokens[letter] ?? "";
  });
  return expanded.replace(/\$\{(\w+)\}/gu, (_found, name: string) => process.env[name] ?? "");
}

/** A shell reads the result: names that it could take for more than a word are refused, as OpenSSH does since 9.6. */
function expandCommand(alias: string, command: string, tokens: Readonly<Record<string, string>>): string {
  return command.replace(/%(.?)/gu, (found, letter: string) => {
    const value = Object.hasOwn(tokens, letter) ? (tokens[letter] ?? "") : undefined;
    if (value === undefined) throw invalid(alias, "proxycommand", `${command} (${found} is not known)`);
    if (letter !== "%" && (/[^\p{L}\p{N}\p{M}@%+=:,./_[\]-]/u.test(value) || value.startsWith("-")))
      throw invalid(alias, "proxycommand", `${command} (the value of ${found} is not safe in a shell)`);
    return value;
  });
}

function invalid(alias: string, name: string, value: string): CodedError {
  return new CodedError(
    "config.invalid",
    `reading ssh_config for ${alias}: ${name} can't be ${harmless(value, 300)}`,
    {
      data: { option: name },
    },
  );
}
