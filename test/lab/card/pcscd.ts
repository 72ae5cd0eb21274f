import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { waitFor } from "../../support/wait-for.ts";

const START_TIMEOUT_MS = 25_000;
const DRIVER = "/usr/lib/pcsc/drivers/serial/libifdvpcd.so";

/** The PC/SC daemon with vpcd's reader. It ends with this process, which ends with it. */
export class Pcscd {
  #insertions = 0;
  #hasCard = false;

  private constructor() {}

  /** Resolves once it listens. Its log goes to stderr, its configuration to `dir`/conf. */
  static async start(dir: string): Promise<Pcscd> {
    if (!existsSync(DRIVER)) throw new Error(`${DRIVER} is missing: apt install vsmartcard-vpcd pcscd`);
    await writeFile(
      join(dir, "conf", "vpcd"),
      `FRIENDLYNAME "Virtual PCD"\nDEVICENAME /dev/null:0x8C7B\nLIBPATH ${DRIVER}\nCHANNELID 0x8C7B\n`,
    );
    const self = new Pcscd();
    const options = ["--foreground", "--info", "--config", join(dir, "conf")];
    const child = spawn("/usr/sbin/pcscd", options, { stdio: ["ignore", "pipe", "inherit"] });
    child.once("exit", (code, signal) => {
      console.error(`pcscd ended: ${signal ?? code}`);
      process.exit(1);
    });
    await once(child, "spawn");
    process.once("exit", () => child.kill("SIGKILL"));
    createInterface(child.stdout).on("line", (line) => {
      self.#read(line);
      console.error(line);
    });
    await waitFor(() => existsSync("/run/pcscd/pcscd.comm"), {
      what: "pcscd's socket",
      withinMs: START_TIMEOUT_MS,
    });
    return self;
  }

  /** How many cards it has noticed. It looks two or three times a second, where it gets to it. */
  get insertions(): number {
    return this.#insertions;
  }

  /** Whether the last one it has noticed is still in, as far as it knows. */
  get hasCard(): boolean {
    return this.#hasCard;
  }

  #read(line: string): void {
    if (line.includes("Card Removed From")) this.#hasCard = false;
    // Of a card that is in when it starts it tells nothing but the ATR.
    else if (/Card inserted into|Card ATR:|Error powering up card/.test(line) && !this.#hasCard) {
      this.#hasCard = true;
      this.#insertions += 1;
    }
  }
}
