/**
 * Questions to the kernel's NETLINK_SOCK_DIAG and its answers (linux/netlink.h, linux/inet_diag.h): which socket has
 * exactly these two ends. Ports and addresses are in network order, everything else in the host's.
 */
import os from "node:os";
import { ipv4Bytes, ipv6Bytes } from "./proc-net-tcp.ts";
import { type ConnectionAddresses, ownerFrom, type SocketOwner } from "./socket-owner.ts";

/** nlmsghdr (16) and inet_diag_req_v2 (56). */
export const QUESTION_BYTES = 72;
/** nlmsghdr (16) and inet_diag_msg (72); shorter answers are padded with zeros. */
export const ANSWER_BYTES = 88;

const NLMSG_ERROR = 2;
const SOCK_DIAG_BY_FAMILY = 20;
const NLM_F_REQUEST = 1;
const AF_INET = 2;
const AF_INET6 = 10;
const IPPROTO_TCP = 6;
const ENOENT = 2;
/** Where inet_diag_sockid stands, in the question and in the answer, and its part that names the two ends. */
const QUESTION_ID = 24;
const ANSWER_ID = 20;
const ENDS_BYTES = 36;

const isLittle = os.endianness() === "LE";

/** The question who is the client of `addresses`; undefined for addresses that no socket can have. */
export function encodeQuestion(addresses: ConnectionAddresses, sequence: number): Buffer | undefined {
  const local = familyAndBytes(addresses.localAddress);
  const remote = familyAndBytes(addresses.remoteAddress);
  if (local === undefined || remote?.family !== local.family) return undefined;
  const question = Buffer.alloc(QUESTION_BYTES);
  putUint32(question, 0, QUESTION_BYTES);
  putUint16(question, 4, SOCK_DIAG_BY_FAMILY);
  putUint16(question, 6, NLM_F_REQUEST);
  putUint32(question, 8, sequence);
  question[16] = local.family;
  question[17] = IPPROTO_TCP;
  // In whatever state it is: the answer says.
  putUint32(question, 20, 0xffff_ffff);
  // The client's own end comes first.
  question.writeUInt16BE(addresses.remotePort, QUESTION_ID);
  question.writeUInt16BE(addresses.localPort, QUESTION_ID + 2);
  remote.bytes.copy(question, QUESTION_ID + 4);
  local.bytes.copy(question, QUESTION_ID + 20);
  // No cookie: the ends alone decide.
  question.fill(0xff, QUESTION_ID + 40, QUESTION_ID + 48);
  return question;
}

/** What `answer` says to `question`. Throws where it is no answer to it, or says that there are none to be had. */
export function decodeAnswer(question: Buffer, answer: Buffer): SocketOwner {
  const type = uint16(answer, 4);
  if (uint32(answer, 8) !== uint32(question, 8)) throw new Error("an answer to another question");
  if (type === NLMSG_ERROR) {
    const errno = -(uint32(answer, 16) | 0);
    if (errno === ENOENT) return "missing";
    throw new Error(`the kernel refused the question (errno ${errno})`);
  }
  if (type !== SOCK_DIAG_BY_FAMILY || uint32(answer, 0) < ANSWER_BYTES)
    throw new Error(`an answer of type ${type} and ${uint32(answer, 0)} bytes`);
  // The kernel offers the listener on the client's port where there is no connection: not what was asked for.
  if (!hasTheEndsOf(question, answer)) return "missing";
  return ownerFrom({ state: answer[17] ?? 0, uid: uint32(answer, 80), inode: uint32(answer, 84) });
}

function hasTheEndsOf(question: Buffer, answer: Buffer): boolean {
  const asked = question.subarray(QUESTION_ID, QUESTION_ID + ENDS_BYTES);
  const told = answer.subarray(ANSWER_ID, ANSWER_ID + ENDS_BYTES);
  if (answer[16] === question[16]) return told.equals(asked);
  if (question[16] !== AF_INET || answer[16] !== AF_INET6) return false;
  // An IPv6 socket with mapped addresses.
  return (
    [4, 20].every((at) => isMapped(told.subarray(at, at + 16), asked.subarray(at, at + 4))) &&
    told.subarray(0, 4).equals(asked.subarray(0, 4))
  );
}

function isMapped(ipv6: Buffer, ipv4: Buffer): boolean {
  return ipv6.readUInt32BE(8) === 0xffff && ipv6.readBigUInt64BE(0) === 0n && ipv6.subarray(12).equals(ipv4);
}

interface AddressBytes {
  readonly family: number;
  readonly bytes: Buffer;
}

/** A client comes from the address that it connects to, nearly always the same one. */
let last: { readonly address: string; readonly parsed: AddressBytes | undefined } | undefined;

function familyAndBytes(address: string): AddressBytes | undefined {
  if (last?.address !== address) last = { address, parsed: parse(address) };
  return last.parsed;
}

function parse(address: string): AddressBytes | undefined {
  const ipv4 = ipv4Bytes(address);
  if (ipv4 !== undefined) return { family: AF_INET, bytes: ipv4 };
  const ipv6 = ipv6Bytes(address);
  return ipv6 === undefined ? undefined : { family: AF_INET6, bytes: ipv6 };
}

const putUint16 = (into: Buffer, at: number, value: number) =>
  isLittle ? into.writeUInt16LE(value, at) : into.writeUInt16BE(value, at);
const putUint32 = (into: Buffer, at: number, value: number) =>
  isLittle ? into.writeUInt32LE(value, at) : into.writeUInt32BE(value, at);
const uint16 = (from: Buffer, at: number) => (isLittle ? from.readUInt16LE(at) : from.readUInt16BE(at));
const uint32 = (from: Buffer, at: number) => (isLittle ? from.readUInt32LE(at) : from.readUInt32BE(at));
