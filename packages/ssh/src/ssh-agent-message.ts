/** Message numbers of draft-ietf-sshm-ssh-agent; the extensions are those of OpenSSH's PROTOCOL.agent. */
export const agentMessage = {
  failure: 5,
  success: 6,
  list: 11,
  keys: 12,
  sign: 13,
  signature: 14,
  extension: 27,
} as const;
