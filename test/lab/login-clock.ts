import type { Host } from "./host.ts";

const FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";
const FOLDER = "/opt/lab";
const FILE = `${FOLDER}/clock`;

/** What gives a process, and its children, a clock that can be moved: by what is written to `file`, `+1d` or `+0`. Time that only ever grows stays as it is. */
export const movedClock = (file: string): Record<string, string> => ({
  ...{ LD_PRELOAD: FAKETIME, FAKETIME_TIMESTAMP_FILE: file },
  ...{ FAKETIME_NO_CACHE: "1", DONT_FAKE_MONOTONIC: "1" },
});

/** The clock of everybody who logs in to a host from now on, until it is closed; sshd itself has the machine's. */
export class LoginClock implements AsyncDisposable {
  readonly #host: Host;

  private constructor(host: Host) {
    this.#host = host;
  }

  static async start(host: Host): Promise<LoginClock> {
    const clock = new LoginClock(host);
    await clock.set("+0");
    const variables = Object.entries(movedClock(FILE)).map(([name, value]) => `${name}=${value}`);
    await host.sshd.stop();
    await host.sshd.start([`SetEnv ${variables.join(" ")}`]);
    return clock;
  }

  /** Moves it for all of them at once. Rejects where a session agent that runs would not notice. */
  async set(offset: string): Promise<void> {
    const script = 'mkdir -p "$2" && echo "$1" > "$0.new" && mv "$0.new" "$0"';
    await this.#host.run(["sh", "-c", script, FILE, offset, FOLDER]);
    const unmoved =
      "for p in $(pgrep -f ^farside-agent); do [ ! -r /proc/$p/maps ] || grep -q libfaketime /proc/$p/maps || echo $p; done";
    const pids = await this.#host.run(["sh", "-c", unmoved]);
    if (pids !== "") throw new Error(`the agent has another clock: ${pids.trim()}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#host.sshd.stop();
    await this.#host.sshd.start();
  }
}
