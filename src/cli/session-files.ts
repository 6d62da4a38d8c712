/**
 * Saved sessions as files: the session's own format, and beside it the messages of a conversation, which the
 * session holds digests of only.
 */

import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { access, readFile, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { z } from "zod";
import type { Model } from "../engine/model.ts";
import type { Session } from "../engine/session.ts";
import { InvalidRequestError } from "../errors.ts";
import { writeFileAtomic } from "../files/node-atomic-write.ts";
import { systemErrorCode, systemFileError } from "../files/node-system-error.ts";
import type { ChatMessage } from "../text/chat-message.ts";

const conversationSchema = z.object({
  /** SHA-256 of the session's file: messages of another one are of no use. */
  session: z.string(),
  messages: z.array(z.object({ role: z.string(), content: z.string() })),
});

function conversationPath(path: string): string {
  return `${path}.messages.json`;
}

function digest(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Refuses a place where nothing can be saved, before hours of reading. @throws {@link FileError} */
export async function assertCanSave(path: string): Promise<void> {
  const what = "the session cannot be saved there";
  const folder = dirname(resolve(path));
  try {
    await access(folder, constants.W_OK);
  } catch (error) {
    throw systemFileError(folder, what, error);
  }
  const isFolder = await stat(path).then(
    (stats) => stats.isDirectory(),
    () => false,
  );
  if (isFolder) throw systemFileError(path, what, Object.assign(new Error("a folder"), { code: "EISDIR" }));
}

/**
 * Saves a session, whole or not at all.
 * @param messages the conversation that it holds, if it holds one.
 * @returns the size of the session's file in bytes.
 * @throws {@link FileError} when the disk is full or the folder cannot be written; the session is as before.
 */
export async function saveSession(
  path: string,
  session: Session,
  messages: readonly ChatMessage[] = [],
): Promise<number> {
  const bytes = await session.save();
  await writeFileAtomic(path, bytes);
  if (messages.length > 0) {
    const conversation = JSON.stringify({ session: digest(bytes), messages });
    await writeFileAtomic(conversationPath(path), new TextEncoder().encode(conversation));
  }
  return bytes.length;
}

async function readMessages(path: string, sessionDigest: string): Promise<readonly ChatMessage[]> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return [];
    throw systemFileError(path, "the messages cannot be read", error);
  }
  const parsed = conversationSchema.safeParse(parseJson(text));
  if (parsed.success) return parsed.data.session === sessionDigest ? parsed.data.messages : [];
  throw new InvalidRequestError({
    where: path,
    what: "these are no messages of a session",
    got: text.slice(0, 40),
    remedy: "Remove the file to go on from the session without them.",
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Is a session from a file. */
export interface LoadedSession {
  readonly session: Session;
  /** The conversation that it holds; empty when it holds none. */
  readonly messages: readonly ChatMessage[];
}

/**
 * Restores a session.
 * @throws {@link FileError} when the file cannot be read; else as `restoreSession` does.
 */
export async function loadSession(model: Model, path: string): Promise<LoadedSession> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (error) {
    throw systemFileError(path, "the session cannot be read", error);
  }
  const messages = await readMessages(conversationPath(path), digest(bytes));
  return { session: await model.restoreSession(bytes), messages };
}
