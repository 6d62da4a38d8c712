/**
 * The software GPU for WebGPU in Node: SwiftShader, as Debian's Chromium brings it, behind the Vulkan loader.
 */

import { existsSync } from "node:fs";

const driver = "/usr/lib/chromium/vk_swiftshader_icd.json";
const loaders = ["/usr/lib/x86_64-linux-gnu/libvulkan.so.1", "/usr/lib/aarch64-linux-gnu/libvulkan.so.1"];

/**
 * Makes Node's WebGPU find a software GPU, unless a driver is already chosen.
 * @returns what is missing; undefined when WebGPU can run.
 */
export function enableSwiftShader(): string | undefined {
  if (process.env.VK_ICD_FILENAMES !== undefined) return undefined;
  if (!existsSync(driver)) return `${driver} is not there: install chromium`;
  if (!loaders.some((path) => existsSync(path))) return "there is no Vulkan loader: install libvulkan1";
  process.env.VK_ICD_FILENAMES = driver;
  return undefined;
}
