/**
 * The signer process: the only one that loads a PKCS#11 module and the only one that holds a PIN, for one call. It takes
 * calls over Node's IPC channel, one at a time, and ends when its parent does.
 */
import { writeFileSync } from "node:fs";
import { keepDebuggersOut } from "@farside/protocol/keep-debuggers-out";
import type {
  SignerAnswer,
  SignerCallName,
  SignerCalls,
  SignerFailure,
  SignerRequest,
} from "./signer-messages.ts";
import { codeOf, SignerModule } from "./signer-module.ts";
import { startWatchdog } from "./signer-watchdog.ts";

type Handlers = {
  readonly [Name in SignerCallName]: (params: SignerCalls[Name]["params"]) => SignerCalls[Name]["result"];
};

let loaded: SignerModule | undefined;
const module = (): SignerModule => {
  if (loaded === undefined) throw new Error("no module is loaded");
  return loaded;
};

const handlers: Handlers = {
  load: ({ modulePath }) => {
    loaded = new SignerModule(modulePath);
    return { description: loaded.description };
  },
  tokens: () => module().tokens(),
  token: ({ slot }) => module().token(slot) ?? null,
  open: ({ slot }) => module().open(slot),
  objects: () => module().objects(),
  login: ({ pin }) => {
    module().login(pin);
    return null;
  },
  sign: (params) => module().sign(params),
  presence: ({ slot }) => module().presence(slot),
};

function endModule(): void {
  const module = loaded;
  loaded = undefined;
  try {
    module?.end();
  } catch {
    // The process ends now, whatever the module thinks of it.
  }
}

/** A core dump that is piped to a program (systemd-coredump) knows no limit; it gets none of the memory, which may hold the PIN. */
function leaveMemoryOutOfDumps(): void {
  try {
    writeFileSync("/proc/self/coredump_filter", "0");
  } catch {
    // Not Linux: the limit of its size is all there is.
  }
}

function answer(request: SignerRequest): SignerAnswer {
  try {
    const handler = handlers[request.name] as (params: unknown) => unknown;
    return { id: request.id, result: handler(request.params) };
  } catch (error) {
    return { id: request.id, failure: toFailure(error, request.name) };
  }
}

function toFailure(error: unknown, name: SignerCallName): SignerFailure {
  const message = error instanceof Error ? error.message : String(error);
  const method = error instanceof Error && "method" in error ? String(error.method) : "";
  return { code: codeOf(error), message, method: method === "" ? name : method };
}

process.on("message", (request: SignerRequest) => {
  process.send?.(answer(request));
});
// The parent's way to end it: the card is let go of, which resets it.
process.once("disconnect", () => {
  endModule();
  process.exit(0);
});
// Whoever wants this process to end closes the channel; a Ctrl-C is for the orchestrator.
for (const signal of ["SIGINT", "SIGHUP", "SIGTERM"] as const) process.on(signal, () => {});

keepDebuggersOut();
leaveMemoryOutOfDumps();
startWatchdog();
const ready: SignerAnswer = { ready: true };
process.send?.(ready);
