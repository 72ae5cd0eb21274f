import type { Host } from "../lab/host.ts";
import { within } from "../support/wait-for.ts";
import type { Address } from "./address.ts";
import type { Word } from "./order.ts";
import type { Player } from "./player.ts";
import type { End, Script, Sight } from "./script.ts";
import { seenBy } from "./seen-by.ts";
import type { Way } from "./way.ts";

/** What each end saw, as one line. */
export type Seen = Readonly<Record<End, string>>;

export interface Stage {
  readonly client: Player;
  readonly service: Player;
  /** Bounds one script. */
  readonly withinMs: number;
}

/** After one end's last word, how long the other may take to notice. */
const NOTICE_MS = 10_000;

/** Its program may be just starting, beside many others. */
const LISTEN_WITHIN_MS = 30_000;

let lastRun = 0;

/** Plays `script` over `way`, and tells what its ends saw. */
export async function runScript(script: Script, way: Way, stage: Stage): Promise<Seen> {
  lastRun += 1;
  const run = lastRun;
  const { client, service, withinMs } = stage;
  const { connections = 1, atOnce = 1, isServiceSlow = false } = script;
  const { clientTo, serviceAt, serviceHost } = way;
  const letThrough = isServiceSlow ? await dropPackets(serviceHost, portOf(serviceAt)) : async () => {};

  const openGate = () => {
    for (const player of [client, service]) player.tell({ run, play: "on" });
  };
  const gate = new Gate(script.service === undefined || isServiceSlow ? 1 : 2, () =>
    letThrough().then(openGate),
  );
  const said: Record<End, string> = { client: "nothing", service: "nothing" };
  const hear =
    (end: End, done: (sights: readonly Sight[]) => void, listening?: () => void) => (word: Word) => {
      said[end] = word.is;
      if (word.is === "listening") listening?.();
      else if (word.is === "at gate") gate.reach(end);
      else {
        gate.leave(end);
        done(word.sights);
      }
    };

  const { service: steps } = script;
  let serviceSights: Promise<readonly Sight[]> = Promise.resolve([]);
  if (steps !== undefined) {
    const listening = new Promise<void>((resolve) => {
      serviceSights = new Promise((done) => {
        const order = { run, play: "service", at: serviceAt, steps, connections } as const;
        service.tell(order, hear("service", done, resolve));
      });
    });
    await within(Promise.race([listening, service.ended]), LISTEN_WITHIN_MS, "the service");
  }
  const clientSights = new Promise<readonly Sight[]>((done) => {
    client.tell(
      { run, play: "client", to: clientTo, steps: script.client, connections, atOnce },
      hear("client", done),
    );
  });
  const patience: NodeJS.Timeout[] = [];
  const enough = (player: Player) => () => {
    patience.push(setTimeout(() => player.tell({ run, play: "enough" }), NOTICE_MS));
  };
  void clientSights.then(enough(service));
  void serviceSights.then(enough(client));
  const both = Promise.all([clientSights, serviceSights]);
  const [ofClient, ofService] = await within(
    Promise.race([both, client.ended, service.ended]),
    withinMs,
    `the end of "${script.name}" by ${way.name}`,
  ).catch((error: unknown) => {
    throw new Error(`the client said "${said.client}", the service "${said.service}"\n${way.transcript()}`, {
      cause: error,
    });
  });
  for (const timer of patience) clearTimeout(timer);
  return { client: seenBy(ofClient, ofService), service: seenBy(ofService, ofClient) };
}

/** Opens each time that all who still play have come to it. */
class Gate {
  readonly #waiting = new Set<End>();
  readonly #open: () => Promise<void>;
  #playing: number;

  constructor(playing: number, open: () => Promise<void>) {
    this.#playing = playing;
    this.#open = open;
  }

  reach(end: End): void {
    this.#waiting.add(end);
    this.#openIfAll();
  }

  leave(end: End): void {
    this.#waiting.delete(end);
    this.#playing -= 1;
    this.#openIfAll();
  }

  #openIfAll(): void {
    if (this.#waiting.size === 0 || this.#waiting.size < this.#playing) return;
    this.#waiting.clear();
    void this.#open();
  }
}

function portOf(address: Address): number {
  if ("path" in address) throw new Error(`nothing holds up packets to the socket ${address.path}`);
  return address.port;
}

/** Until the returned function is called, nobody gets an answer from `port` of `host`. */
async function dropPackets(host: Host, port: number): Promise<() => Promise<void>> {
  const table = `lab_slow_${port}`;
  const rules = [
    `table inet ${table} {`,
    `chain in { type filter hook input priority 0; tcp dport ${port} drop; }`,
    "}",
  ];
  await host.run(["nft", "-f", "-"], { input: `${rules.join("\n")}\n` });
  let letting: Promise<void> | undefined;
  return () => {
    letting ??= host.run(["nft", "delete", "table", "inet", table]).then(() => {});
    return letting;
  };
}
