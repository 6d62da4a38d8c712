/**
 * What a session remembers of a conversation, to read only what is new in the next turn.
 *
 * The next turn's text must begin with the last turn's prompt, followed by the reply that the session itself
 * generated (white space around it aside, which templates trim). Digests stand for both: the text may be long.
 */

import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";
import type { ChatMessage } from "../text/chat-message.ts";

/** Says how much of a conversation a session has read. */
export interface ChatTranscript {
  /** Tokens that were there before the conversation. */
  readonly baseTokens: number;
  /** Messages of the last prompt. */
  readonly messageCount: number;
  /** Length of the last prompt's text, in UTF-16 units. */
  readonly promptChars: number;
  readonly promptDigest: string;
  /** Digest of the reply; null when the prompt was not read to its end. */
  readonly replyDigest: string | null;
  /** White space that the reply ended with, which a template may or may not keep. */
  readonly replyEnd: string;
}

/** Bounds what is kept of white space at the end of a reply: a model may write nothing else for ever. */
const replyEndLimit = 64;

/** Digests a text: SHA-256, the first 128 bits in hexadecimal. */
function digestText(text: string): string {
  return bytesToHex(sha256(new TextEncoder().encode(text))).slice(0, 32);
}

/** Describes a conversation that is being read. */
export function beginTranscript(baseTokens: number, messageCount: number, prompt: string): ChatTranscript {
  return {
    baseTokens,
    messageCount,
    promptChars: prompt.length,
    promptDigest: digestText(prompt),
    replyDigest: null,
    replyEnd: "",
  };
}

/** Adds the reply. */
export function endTranscript(transcript: ChatTranscript, reply: string): ChatTranscript {
  const replyEnd = reply.slice(reply.trimEnd().length).slice(0, replyEndLimit);
  return { ...transcript, replyDigest: digestText(reply.trim()), replyEnd };
}

/** Returns how many characters two texts begin with in common. */
function countCommonStart(a: string, b: string): number {
  let count = 0;
  while (count < a.length && a[count] === b[count]) count += 1;
  return count;
}

/**
 * Returns the part of a prompt that comes after what the session has read; undefined when it has read
 * something else.
 */
export function findNewText(
  transcript: ChatTranscript,
  prompt: string,
  messages: readonly ChatMessage[],
): string | undefined {
  const reply = messages[transcript.messageCount];
  if (reply?.role !== "assistant" || typeof reply.content !== "string") return undefined;
  const text = reply.content.trim();
  if (digestText(text) !== transcript.replyDigest) return undefined;
  if (digestText(prompt.slice(0, transcript.promptChars)) !== transcript.promptDigest) return undefined;
  const rest = prompt.slice(transcript.promptChars);
  const start = rest.indexOf(text);
  if (start < 0 || rest.slice(0, start).trim() !== "") return undefined;
  const newText = rest.slice(start + text.length);
  // A template that keeps the reply's last white space would have it read twice.
  return newText.slice(countCommonStart(transcript.replyEnd, newText));
}
