/**
 * The format of a saved session.
 *
 *   bytes 0-7    magic "EDGEINF" NUL
 *   8-11         format version, uint32
 *   12-15        header length in bytes, uint32
 *   16-47        SHA-256 of all that follows
 *   48-          header, JSON in UTF-8; spaces fill up to a multiple of 8
 *   then         the state's arrays, in the header's order, little-endian
 *
 * What was saved is read whole or refused with the reason: not a session, damaged, of a newer version, of
 * another model, adapter or setting.
 */

import { sha256 } from "@noble/hashes/sha2.js";
import { z } from "zod";
import { InvalidRequestError, UnsupportedError } from "../errors.ts";
import type { MemoryPolicy, MemoryState } from "../memory/policy.ts";
import { countArrayBytes } from "../memory/state-arrays.ts";
import type { TensorMemory } from "../runtime/tensor-memory.ts";
import type { ChatTranscript } from "./transcript.ts";

const magic = new TextEncoder().encode("EDGEINF\0");
/** 2: gate openings by head; what fits of 1, which had them by layer, is read too. */
const formatVersion = 2;
const prefixBytes = 48;
const headerLimitBytes = 1 << 20;

/** Says what a state belongs to. */
export interface SessionIdentity {
  /** A digest of the checkpoint. */
  readonly model: string;
  /** A digest of the adapter, "" without one. */
  readonly adapter: string;
  readonly policy: string;
  /** The context settings, such as `S4 B0 W1024 T512`. */
  readonly context: string;
}

/** Is everything of a session that outlives a process. */
export interface SessionSnapshot {
  readonly state: MemoryState;
  readonly logits: Float32Array | undefined;
  readonly recentIds: readonly number[];
  readonly transcript: ChatTranscript | undefined;
}

const count = z.number().int().nonnegative();

const headerSchema = z.object({
  identity: z.object({ model: z.string(), adapter: z.string(), policy: z.string(), context: z.string() }),
  lengthTokens: count,
  recentIds: z.array(count).max(1024),
  transcript: z
    .object({
      baseTokens: count,
      messageCount: count,
      promptChars: count,
      promptDigest: z.string(),
      replyDigest: z.string().nullable(),
      replyEnd: z.string(),
    })
    .optional(),
  arrays: z.array(
    z.object({
      name: z.string(),
      dtype: z.enum(["float32", "float64"]),
      length: count,
    }),
  ),
});

/** Encodes a session. */
export async function encodeSession(
  identity: SessionIdentity,
  { state, logits, recentIds, transcript }: SessionSnapshot,
): Promise<Uint8Array> {
  const arrays = [...(await state.exportArrays())];
  if (logits !== undefined) arrays.push({ name: "logits", data: logits });
  const header = {
    identity,
    lengthTokens: state.lengthTokens,
    recentIds,
    ...(transcript !== undefined && { transcript }),
    arrays: arrays.map(({ name, data }) => ({
      name,
      dtype: data instanceof Float64Array ? "float64" : "float32",
      length: data.length,
    })),
  };
  const text = JSON.stringify(header);
  const unpadded = new TextEncoder().encode(text).length;
  const headerBytes = new TextEncoder().encode(text + " ".repeat((8 - (unpadded % 8)) % 8));
  const payloadBytes = arrays.reduce((sum, { data }) => sum + data.byteLength, 0);
  const bytes = new Uint8Array(prefixBytes + headerBytes.length + payloadBytes);
  bytes.set(headerBytes, prefixBytes);
  let offset = prefixBytes + headerBytes.length;
  for (const { data } of arrays) {
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), offset);
    offset += data.byteLength;
  }
  bytes.set(magic);
  const view = new DataView(bytes.buffer);
  view.setUint32(8, formatVersion, true);
  view.setUint32(12, headerBytes.length, true);
  bytes.set(sha256(bytes.subarray(prefixBytes)), 16);
  return bytes;
}

const where = "restoreSession";

function refuse(what: string, got: unknown, expected: string, remedy: string): never {
  throw new InvalidRequestError({ where, what, got, expected, remedy });
}

const damagedRemedy = "The saved session is damaged: use another copy.";

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

interface ReadHeader {
  readonly version: number;
  readonly header: z.infer<typeof headerSchema>;
  readonly payloadOffset: number;
}

function readHeader(bytes: Uint8Array): ReadHeader {
  const isBytes = bytes instanceof Uint8Array;
  const isSession =
    isBytes && bytes.length >= prefixBytes && magic.every((byte, index) => bytes[index] === byte);
  if (!isSession) {
    refuse(
      "these bytes are no saved session",
      isBytes ? `${bytes.length} bytes` : typeof bytes,
      "what session.save() gave",
      "Check the file.",
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const version = view.getUint32(8, true);
  if (version > formatVersion || version === 0) {
    throw new UnsupportedError({
      where,
      what: "the session was saved in another version of the format",
      got: version,
      expected: `at most ${formatVersion}`,
      remedy: "Update this package to read it.",
    });
  }
  const headerBytes = view.getUint32(12, true);
  if (headerBytes > headerLimitBytes || prefixBytes + headerBytes > bytes.length) {
    refuse(
      "the header does not fit",
      headerBytes,
      `at most ${bytes.length - prefixBytes} bytes`,
      damagedRemedy,
    );
  }
  const digest = sha256(bytes.subarray(prefixBytes));
  if (!digest.every((byte, index) => byte === bytes[16 + index])) {
    refuse(
      "the checksum does not match: the bytes are truncated or altered",
      `${bytes.length} bytes`,
      "the bytes as saved",
      damagedRemedy,
    );
  }
  const text = new TextDecoder().decode(bytes.subarray(prefixBytes, prefixBytes + headerBytes));
  const parsed = headerSchema.safeParse(parseJson(text));
  if (!parsed.success)
    refuse("the header does not parse", parsed.error.issues[0]?.message, "a session header", damagedRemedy);
  return { version, header: parsed.data, payloadOffset: prefixBytes + headerBytes };
}

function checkIdentity(got: SessionIdentity, expected: SessionIdentity): void {
  const parts: readonly (readonly [keyof SessionIdentity, string])[] = [
    ["model", "model"],
    ["policy", "memory policy"],
    ["adapter", "adapter"],
    ["context", "context settings"],
  ];
  for (const [key, name] of parts) {
    if (got[key] === expected[key]) continue;
    const noun = `the session was saved with another ${name}`;
    refuse(
      noun,
      got[key] || "none",
      expected[key] || "none",
      "Load the model as it was when the session was saved.",
    );
  }
}

function readArrays(
  bytes: Uint8Array,
  payloadOffset: number,
  arrays: z.infer<typeof headerSchema>["arrays"],
): Map<string, Float32Array | Float64Array> {
  const found = new Map<string, Float32Array | Float64Array>();
  let offset = payloadOffset;
  for (const { name, dtype, length } of arrays) {
    const data = dtype === "float64" ? new Float64Array(length) : new Float32Array(length);
    new Uint8Array(data.buffer).set(bytes.subarray(offset, offset + data.byteLength));
    offset += data.byteLength;
    found.set(name, data);
  }
  return found;
}

/**
 * Decodes a session for a model.
 * @param memory where its state will live; the host by default.
 * @throws {@link InvalidRequestError} {@link UnsupportedError} with the reason why it cannot be used.
 */
export function decodeSession(
  bytes: Uint8Array,
  identity: SessionIdentity,
  policy: MemoryPolicy,
  vocabularySize: number,
  memory?: TensorMemory,
): SessionSnapshot {
  const { version, header, payloadOffset } = readHeader(bytes);
  checkIdentity(header.identity, identity);
  const { lengthTokens, arrays } = header;
  if (lengthTokens > policy.maxLengthTokens) {
    refuse(
      "the session is longer than this model allows",
      lengthTokens,
      `at most ${policy.maxLengthTokens}`,
      damagedRemedy,
    );
  }
  const wanted = [
    ...policy.arraySizes(lengthTokens),
    ...(lengthTokens > 0 ? [{ name: "logits", length: vocabularySize, dtype: "float32" as const }] : []),
  ];
  const fits =
    arrays.length === wanted.length &&
    wanted.every(({ name, length, dtype }, index) => {
      const array = arrays[index];
      return array?.name === name && array.length === length && array.dtype === dtype;
    });
  if (!fits && version < formatVersion) {
    refuse(
      "the session was saved in an earlier version of the format, whose arrays this one lacks",
      version,
      String(formatVersion),
      "Read its text again, or use the package that saved it.",
    );
  }
  const payloadBytes = countArrayBytes(wanted);
  if (!fits || payloadOffset + payloadBytes !== bytes.length) {
    refuse(
      "the arrays do not fit the length of the stream",
      bytes.length,
      `${payloadOffset + payloadBytes} bytes`,
      damagedRemedy,
    );
  }
  const data = readArrays(bytes, payloadOffset, arrays);
  const logits = data.get("logits");
  return {
    state: policy.restoreState(lengthTokens, data, memory),
    logits: logits instanceof Float32Array ? logits : undefined,
    recentIds: header.recentIds,
    transcript: header.transcript,
  };
}
