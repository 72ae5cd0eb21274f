import path from "node:path";
import { unitName } from "./unit-text.ts";

export interface FolderFacts {
  /** Home of the login; absolute. */
  readonly home: string;
  /** `XDG_DATA_HOME` and `XDG_CONFIG_HOME` of its environment; relative ones don't count. */
  readonly dataHome?: string | undefined;
  readonly configHome?: string | undefined;
}

/** What is in an installed agent's folder. */
export interface FolderPlaces {
  readonly name: string;
  /** Private, 0700. */
  readonly folder: string;
  /** A symbolic link to the bundle of now. */
  readonly program: string;
  /** What Node.js is started with: runs `program`; see `START_TEXT`. */
  readonly start: string;
  readonly config: string;
  /** What was made, by whom and how: written before anything else. */
  readonly record: string;
  readonly control: string;
  /** The daemon's, where there is no systemd: its log, and who holds the locks. */
  readonly log: string;
  readonly supervisorLock: string;
  readonly agentLock: string;
}

/** Where everything of an installed agent is. */
export interface AgentPlaces extends FolderPlaces {
  /** Of all installed agents. */
  readonly root: string;
  readonly unitFolder: string;
  readonly unit: string;
}

/** The places of the agent `name`; see `agentName` for what that may be. */
export function agentPlaces(name: string, { home, dataHome, configHome }: FolderFacts): AgentPlaces {
  const root = path.join(absolute(dataHome) ?? path.join(home, ".local/share"), "farside");
  const unitFolder = path.join(absolute(configHome) ?? path.join(home, ".config"), "systemd/user");
  return {
    ...placesIn(path.join(root, name)),
    ...{ root, unitFolder, unit: path.join(unitFolder, unitName(name)) },
  };
}

/** What is in `folder`, which is called as its agent is. */
export function placesIn(folder: string): FolderPlaces {
  const inFolder = (file: string) => path.join(folder, file);
  return {
    ...{ name: path.basename(folder), folder },
    ...{
      program: inFolder("agent.cjs"),
      start: inFolder("start.cjs"),
      config: inFolder("forwards.json"),
      record: inFolder("install.json"),
    },
    ...{ control: inFolder("control.sock"), log: inFolder("agent.log") },
    ...{ supervisorLock: inFolder("supervisor.lock"), agentLock: inFolder("agent.lock") },
  };
}

/** Where the bundle of that digest is kept. */
export function bundlePath({ folder }: Pick<FolderPlaces, "folder">, digest: string): string {
  return path.join(folder, `agent-${digest.slice(0, 16)}.cjs`);
}

function absolute(folder: string | undefined): string | undefined {
  return folder !== undefined && path.isAbsolute(folder) ? folder : undefined;
}
