/**
 * Lets tests in a browser command a stand-in for the hub that runs beside it, in Node.
 */

import type { ModelFolder } from "../../src/files/model-folder.ts";
import { createTinyModelFolder } from "../../src/testing/tiny-model.ts";
import { hubModelId } from "./hub-model-id.ts";
import {
  type Fault,
  type HubRepository,
  type HubServer,
  type SeenRequest,
  startHubServer,
} from "./hub-server.ts";

const files = ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"];

async function readFolder(
  folder: ModelFolder,
  names: readonly string[],
): Promise<Record<string, Uint8Array>> {
  const read = names.map(async (name) => {
    const source = await folder.open(name);
    return [name, await source.read(0, source.sizeBytes)] as const;
  });
  return Object.fromEntries(await Promise.all(read));
}

/** A model of 10 MB, so that its weights are stored in several parts. */
async function createRepositories(): Promise<Record<string, HubRepository>> {
  const sizes = { layerCount: 2, hiddenSize: 512, queryHeadCount: 8, keyValueHeadCount: 4, headSize: 64 };
  const model = createTinyModelFolder({ ...sizes, mlpSize: 1024, dtype: "float16" });
  return {
    [hubModelId]: {
      commit: "c".repeat(40),
      files: await readFolder(model, files),
      large: ["model.safetensors"],
    },
  };
}

let repositories: Promise<Record<string, HubRepository>> | undefined;

const servers = new Map<string, HubServer>();

function serverAt(endpoint: string): HubServer {
  const server = servers.get(endpoint);
  if (server === undefined) throw new Error(`no hub runs at ${endpoint}`);
  return server;
}

/** Are the commands, as the runner wants them: the first argument is its own. */
export const hubCommands = {
  /** Starts a hub; returns its endpoint. */
  async startHub(_context: unknown): Promise<string> {
    repositories ??= createRepositories();
    const server = await startHubServer(await repositories);
    servers.set(server.endpoint, server);
    return server.endpoint;
  },
  /** Makes the next matching requests go wrong. */
  faultHub(_context: unknown, endpoint: string, fault: Fault): void {
    serverAt(endpoint).fault(fault);
  },
  /** Returns the requests since the last time. */
  seenByHub(_context: unknown, endpoint: string): readonly SeenRequest[] {
    return serverAt(endpoint).requests.splice(0);
  },
  /** Ends a hub. */
  async stopHub(_context: unknown, endpoint: string): Promise<void> {
    await serverAt(endpoint).close();
    servers.delete(endpoint);
  },
};

declare module "vitest/browser" {
  interface BrowserCommands {
    startHub(): Promise<string>;
    faultHub(endpoint: string, fault: Fault): Promise<void>;
    seenByHub(endpoint: string): Promise<readonly SeenRequest[]>;
    stopHub(endpoint: string): Promise<void>;
  }
}
