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
/** The model that comes with it. */
export const tasksModel = `${pages}/models/tasks.gguf`;
/** Screenshots and measurements of the last run. */
export const artifacts = at("../artifacts/");

/** Real models beside the repository, which are no part of it. */
const sharedModels = `${root}../shared/models`;

/**
 * A real model that is not part of the project; tests that want one are skipped where it is missing, which is printed.
 *
 * # Errors
 * Where tests run unattended (`CI`), if the folder is there and lacks this file: then it was moved, or is misspelt. A clone
 * that has none of them passes.
 */
export function sharedModel(name: string): string | undefined {
  const path = `${sharedModels}/${name}`;
  if (existsSync(path)) return path;
  const missing = `../shared/models/${name} is missing`;
  if (process.env["CI"] && existsSync(sharedModels)) throw new Error(`${missing}, though others are there.`);
  console.warn(`${missing}: what needs it is skipped.`);
  return undefined;
}
