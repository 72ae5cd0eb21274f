/** A program with a sock_diag socket: answers each line of stdin, addresses as JSON, with the owner as JSON. */
import { createInterface } from "node:readline";
import { SockDiagSocket, takeSockDiagDescriptor } from "../forwarding/sock-diag-socket.ts";

const owners = new SockDiagSocket(takeSockDiagDescriptor(process.env) ?? -1);
createInterface({ input: process.stdin }).on("line", (line) => {
  process.stdout.write(`${JSON.stringify(owners.ownerOf(JSON.parse(line)))}\n`);
});
