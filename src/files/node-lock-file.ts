/**
 * A lock between processes: a file that only one can create.
 *
 * Node has no `flock`, so the holder shows that it lives by touching the file; a lock whose holder died, or that was
 * not touched for a minute, is taken over. Two holders remain conceivable (a machine asleep, a shared disk):
 * use it to save work, where what is at stake is also guarded by a hash and an atomic rename.
 */

import { randomUUID } from "node:crypto";
import { link, open, readFile, rename, rm, stat, utimes } from "node:fs/promises";
import { hostname } from "node:os";
import { delay } from "./http-exchange.ts";
import { systemErrorCode, systemFileError } from "./node-system-error.ts";

const staleAfterMs = 60_000;
const touchEveryMs = 10_000;
const pollEveryMs = 100;

async function tryCreate(path: string, content: string): Promise<boolean> {
  try {
    const handle = await open(path, "wx");
    try {
      await handle.writeFile(content);
    } finally {
      await handle.close();
    }
    return true;
  } catch (error) {
    if (systemErrorCode(error) === "EEXIST") return false;
    throw systemFileError(path, "the lock file cannot be created", error);
  }
}

function isRunning(processId: number): boolean {
  try {
    process.kill(processId, 0);
    return true;
  } catch (error) {
    return systemErrorCode(error) === "EPERM";
  }
}

/** Returns the content of a lock whose holder is gone; undefined while it lives. */
async function readStale(path: string): Promise<string | undefined> {
  try {
    const [content, facts] = [await readFile(path, "utf8"), await stat(path)];
    if (Date.now() - facts.mtimeMs > staleAfterMs) return content;
    const [processId, host] = content.split(" ");
    const isOurs = host === hostname() && /^\d+$/.test(processId ?? "");
    return isOurs && !isRunning(Number(processId)) ? content : undefined;
  } catch {
    return undefined;
  }
}

async function removeStale(path: string): Promise<void> {
  const content = await readStale(path);
  if (content === undefined) return;
  const aside = `${path}.${randomUUID()}`;
  try {
    await rename(path, aside);
    // Another waiter may have taken the stale lock over in between: then this is its new one, and goes back.
    if ((await readFile(aside, "utf8")) !== content) await link(aside, path);
  } catch (error) {
    const code = systemErrorCode(error);
    if (code !== "ENOENT" && code !== "EEXIST") throw systemFileError(path, "a stale lock stays", error);
  }
  await rm(aside, { force: true });
}

/**
 * Runs work while holding a lock file; waits while another process holds it.
 * @throws the signal's reason when aborted while waiting; whatever `work` throws.
 */
export async function withLockFile<T>(
  path: string,
  work: () => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const content = `${process.pid} ${hostname()} ${randomUUID()}`;
  while (!(await tryCreate(path, content))) {
    await removeStale(path);
    await delay(pollEveryMs, signal);
  }
  const touch = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch(() => undefined);
  }, touchEveryMs);
  touch.unref();
  try {
    return await work();
  } finally {
    clearInterval(touch);
    const holder = await readFile(path, "utf8").catch(() => undefined);
    if (holder === content) await rm(path, { force: true });
  }
}
