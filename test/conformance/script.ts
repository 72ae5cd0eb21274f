/** What one end of a connection does, step by step. Plain data: it travels to the programs that play it. */
export type Step =
  /** Sends the next `bytes` of its stream; `piece`: that many a write, each in its own turn of the event loop. */
  | { readonly do: "send"; readonly bytes: number; readonly piece?: number }
  /** Sends and reads until it is held back for a while, notes that, and goes on. */
  | { readonly do: "fill" }
  /** Sends until the connection is over. */
  | { readonly do: "speak-on" }
  /** Ends its direction (FIN). */
  | { readonly do: "end" }
  /** Cuts the connection (RST). */
  | { readonly do: "reset" }
  /** Closes without reading what has come (close(2)). */
  | { readonly do: "close" }
  /** Waits until that many bytes have come in all. */
  | { readonly do: "receive"; readonly bytes: number }
  /** Waits for the end of the other direction. */
  | { readonly do: "await-end" }
  /** Waits until the connection is over, however. */
  | { readonly do: "await-close" }
  | { readonly do: "pause" }
  | { readonly do: "resume" }
  /** Sends back what comes, to its end, and ends. */
  | { readonly do: "echo" }
  /** That many times a byte, and the wait for its echo. Notes whether each came at once. */
  | { readonly do: "ping"; readonly times: number }
  /** Waits so long; notes whether the connection still stands. */
  | { readonly do: "stay"; readonly ms: number }
  /** Waits until the other end and the network are where the script wants them. */
  | { readonly do: "gate" };

/** One kind of connection: what both ends do. What each of them sees is compared between the ways there. */
export interface Script {
  readonly name: string;
  readonly client: readonly Step[];
  /** `undefined`: nobody listens. */
  readonly service: readonly Step[] | undefined;
  /** So many connections, at most `atOnce` at a time; one where left out. */
  readonly connections?: number;
  readonly atOnce?: number;
  /** The service's host drops what comes for its port until the client is at its first gate. */
  readonly isServiceSlow?: boolean;
  /** What an end sees through farside where that is not what it sees through `ssh -L` nor without a forwarder, and why that is better. */
  readonly better?: readonly Better[];
}

export interface Better {
  readonly end: End;
  readonly sees: string;
  readonly because: string;
}

export type End = "client" | "service";

/** What one end saw of one connection. */
export interface Sight {
  /** In order: `connected`, `64 bytes`, `end`, `reset`, `closed`, and what its steps noted. */
  readonly saw: readonly string[];
  readonly sent: number;
  readonly received: number;
  /** Whether every byte was the one that the other end had sent there. */
  readonly isIntact: boolean;
}
