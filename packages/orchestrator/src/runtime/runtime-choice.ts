import { resolve } from "node:path";
import { CodedError } from "@farside/protocol";
import type { SessionEventDraft } from "../event-log.ts";
import type { SessionFolder } from "../session-folder.ts";
import type { StartDeadline } from "../start-deadline.ts";
import type { RuntimeOptions } from "./provide-runtime.ts";
import { runtimeCache } from "./runtime-cache.ts";
import { fileOffers, pinnedOffers } from "./runtime-source.ts";

/**
 * What happens on a jump host without a Node.js that fits. `auto`: one is sent. `upload`: one is sent whatever the host has. `never`: it
 * is an error.
 */
export type RuntimeMode = "auto" | "upload" | "never";

/** What the operator chose. */
export interface RuntimeChoice {
  readonly mode: "auto" | "upload";
  readonly keep: boolean;
  /** Instead of the pinned builds. */
  readonly file: string | undefined;
  readonly ask: RuntimeOptions["ask"];
  readonly onProgress: RuntimeOptions["onProgress"];
}

export interface RuntimeWish {
  readonly runtime?: RuntimeMode | undefined;
  readonly keepRuntime?: boolean | undefined;
  readonly runtimeFile?: string | undefined;
  readonly remoteNode?: string | undefined;
  /** An agent that outlives its connection: whoever comes back to it needs a Node.js again. */
  readonly reattach?: boolean | undefined;
  readonly detach?: boolean | undefined;
  readonly askRuntime?: RuntimeOptions["ask"];
  readonly onRuntimeProgress?: RuntimeOptions["onProgress"];
}

/** Reads the options; undefined where nothing may be sent. Throws `usage.invalid` for what does not go together. */
export function chooseRuntime(wish: RuntimeWish): RuntimeChoice | undefined {
  const { runtime = "auto", keepRuntime = false, runtimeFile, remoteNode } = wish;
  const clash = (a: string, b: string) => {
    throw new CodedError("usage.invalid", `${a} and ${b} do not go together`);
  };
  if (runtime === "never") {
    if (keepRuntime) clash("--runtime never", "--keep-runtime");
    if (runtimeFile !== undefined) clash("--runtime never", "--runtime-file");
    return undefined;
  }
  if (remoteNode !== undefined) {
    if (runtime === "upload") clash("--runtime upload", "--remote-node");
    // Whoever names one wants that one.
    return undefined;
  }
  const isResident = wish.reattach === true || wish.detach === true;
  if (isResident && !keepRuntime) {
    if (runtime === "upload")
      clash("--runtime upload without --keep-runtime", wish.detach === true ? "--detach" : "--reattach");
    // One that is kept there already is taken; none is sent that would be gone when it is needed again.
    return { mode: "auto", keep: false, file: undefined, ask: async () => false, onProgress: undefined };
  }
  return {
    ...{ mode: runtime, keep: keepRuntime, file: runtimeFile && resolve(runtimeFile) },
    ...{ ask: wish.askRuntime, onProgress: wish.onRuntimeProgress },
  };
}

export interface RuntimeContext {
  readonly emit: (event: SessionEventDraft) => void;
  readonly folder: Pick<SessionFolder, "making">;
  readonly startDeadline: Pick<StartDeadline, "during">;
  readonly signal: AbortSignal;
}

/** What a deploy needs of the choice. */
export function runtimeFor(choice: RuntimeChoice, context: RuntimeContext): RuntimeOptions {
  const { emit, folder, startDeadline, signal } = context;
  const cache = runtimeCache();
  const { mode, keep, file, ask, onProgress } = choice;
  return {
    ...{ mode, keep, cache, ask, onProgress },
    offers: () => (file === undefined ? pinnedOffers(cache) : fileOffers(file, signal)),
    onFetching: ({ name, fetchBytes }) =>
      emit({ event: "runtime.fetch", runtime: name, from: "npm", bytes: fetchBytes }),
    onSending: ({ host, name, digest, sentBytes, bytes }, place) =>
      emit({
        event: "runtime.upload",
        host,
        runtime: name,
        digest,
        bytes: sentBytes,
        size: bytes,
        folder: place,
        kept: keep,
      }),
    onMaking: () => folder.making({ made: "runtime" }),
    whileWaiting: (wait) => startDeadline.during(wait),
  };
}
