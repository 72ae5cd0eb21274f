export type Medium = "tcp" | "unix";

/** What client and service are connected by to the forwarder: a table of docs/relay-conformance.md. */
export interface Shape {
  /** As the operator writes it. */
  readonly name: string;
  readonly client: Medium;
  readonly service: Medium;
}

export const tcpShape: Shape = { name: "-L port:host:hostport", client: "tcp", service: "tcp" };

/** A socket of its own for each end. */
export const bothSockets: Shape = { name: "-L socket:remote_socket", client: "unix", service: "unix" };

/** A socket knows no reset, and connects at once or not at all: what they show is a table of its own each. */
export const socketShapes: readonly Shape[] = [
  { name: "-L socket:host:hostport", client: "unix", service: "tcp" },
  { name: "-L port:remote_socket", client: "tcp", service: "unix" },
  bothSockets,
];
