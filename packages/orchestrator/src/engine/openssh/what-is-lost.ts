/** What the operator has to know before anything is opened. */
export function whatIsLost(host: string, allowAnyUser: boolean): { message: string; hint: string } {
  const users = allowAnyUser ? "" : "every user of it may connect to its TCP listeners, ";
  return {
    message: `the ssh of ${host} forwards: ${users}relays are not counted and end without grace, a lost hop ends the session, and until it has logged in an ssh-agent socket is there that signs these logins only`,
    hint: "Where that is not wanted, use the agent: it needs Node.js on the jump host.",
  };
}
