/**
 * Where the tests find what they test, and where they leave what they saw.
 * @module
 */

import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export const root = at("../../../");
/** The built pages. */
export const pages = `${root}www/dist`;
/** The built package. */
export const pkg = `${root}pkg/dist`;
/** The model that the built demo page begins with. */
export const storyModel = `${pages}/models/story.gguf`;
/** Screenshots and measurements of the last run. */
export const artifacts = at("../artifacts/");

/** Real models that are not part of the project; tests that want one are skipped where it is missing. */
export function sharedModel(name: string): string | undefined {
  const path = `${root}../shared/models/${name}`;
  return existsSync(path) ? path : undefined;
}
