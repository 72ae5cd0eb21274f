/** The echo service that every cell's forward leads to. */
export const ECHO_PORT = 7000;
export const KEY = "/root/.ssh/matrix";
/** Run by node. */
export const ECHO = `require("net").createServer({ allowHalfOpen: true }, (socket) => { socket.on("error", () => {}); socket.pipe(socket); })
  .listen(${ECHO_PORT}, "127.0.0.1", () => console.log("listening"));`;

/** 64 KiB through the listener and back, compared. */
export const EXCHANGE = `
set -e
exec 3<> "/dev/tcp/127.0.0.1/$0"
sent=$(head -c 49152 /dev/urandom | base64 -w 0)
printf %s "$sent" >&3 &
got=$(head -c \${#sent} <&3)
[ "$sent" = "$got" ] && echo equal
`;
