import { appendFile, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { agentName, CodedError, isCodedError } from "@farside/protocol";
import * as v from "valibot";
import { sessionLogin } from "../session-login.ts";
import { isOwnFolder, isStateFolder, makeStateFolder, stateFolder } from "../state-folder.ts";

/** What is kept of an installed agent on the workstation that installed or last changed it. No secrets. */
const agentRecord = v.object({
  version: v.literal(1),
  name: agentName,
  /** The build server as it was written, and as `user@host`. */
  jump: v.string(),
  host: v.string(),
  login: v.optional(sessionLogin),
  /** forwards.yaml as it was applied: what this workstation lends its identity for. */
  forwards: v.string(),
  /** Marks the agent's processes on the host. */
  run: v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/)),
});
export type AgentRecord = v.InferOutput<typeof agentRecord>;

/** One thing that is made on the host, written down before it is. */
const undoEntry = v.object({ made: v.literal("file"), path: v.string() });

/** What this workstation knows of one installed agent: `agents/HOST/NAME/` in its state folder, 0700. */
export class AgentStore {
  readonly folder: string;
  readonly #root: string;

  /** `host` is `user@host` of the build server. */
  constructor(host: string, name: string, root: string = stateFolder()) {
    const safe = host.replace(/[^A-Za-z0-9@._-]/g, (each) => `%${each.charCodeAt(0).toString(16)}`);
    this.#root = root;
    this.folder = join(root, "agents", safe.replace(/^\.+/, "_"), name);
  }

  /** Undefined where this workstation knows of none. */
  async read(): Promise<AgentRecord | undefined> {
    const text = (await this.#text("agent.json")) ?? "null";
    try {
      const parsed = v.safeParse(agentRecord, JSON.parse(text));
      return parsed.success ? parsed.output : undefined;
    } catch {
      return undefined;
    }
  }

  async write(record: AgentRecord): Promise<void> {
    await this.#making();
    const file = join(this.folder, "agent.json");
    await writeFile(`${file}.new`, `${JSON.stringify(record, undefined, 2)}\n`, { mode: 0o600 });
    await rename(`${file}.new`, file);
  }

  /** Writes down what is about to be made on the host; make it only when this has resolved. */
  async making(paths: readonly string[]): Promise<void> {
    await this.#making();
    const lines = paths.map((path) => `${JSON.stringify({ made: "file", path })}\n`).join("");
    await appendFile(join(this.folder, "undo.jsonl"), lines, { mode: 0o600 });
  }

  /** Files on the host that were or may have been made. */
  async made(): Promise<string[]> {
    const log = (await this.#text("undo.jsonl")) ?? "";
    const paths = log.split("\n").flatMap((line) => {
      try {
        const parsed = v.safeParse(undoEntry, JSON.parse(line));
        return parsed.success ? [parsed.output.path] : [];
      } catch {
        // The torn last line of a crash.
        return [];
      }
    });
    return [...new Set(paths)];
  }

  /** Nothing is left on the host. */
  async forget(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
    const above = join(this.folder, "..");
    if ((await readdir(above).catch(() => ["kept"])).length === 0)
      await rm(above, { recursive: true, force: true });
  }

  /** Undefined too where somebody else could have written it. */
  async #text(name: string): Promise<string | undefined> {
    if (!(await isStateFolder(this.#root)) || !(await isOwnFolder(this.folder))) return undefined;
    return readFile(join(this.folder, name), "utf8").catch(() => undefined);
  }

  async #making(): Promise<void> {
    try {
      await makeStateFolder(this.#root);
      await mkdir(this.folder, { recursive: true, mode: 0o700 });
      if (!(await isOwnFolder(this.folder))) throw new Error("it is a link, or somebody else's");
    } catch (error) {
      if (isCodedError(error)) throw error;
      throw new CodedError(
        "config.invalid",
        `keeping the agent's record in ${this.folder}: ${(error as Error).message}`,
        {
          hint: "Set XDG_STATE_HOME to a folder that can be written.",
          cause: error,
        },
      );
    }
  }
}
