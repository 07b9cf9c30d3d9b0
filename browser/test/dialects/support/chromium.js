// @ts-check
/** Where Chromium is, if it is. */

import { existsSync } from "node:fs";
import path from "node:path";

export const executable = [...(process.env.PATH ?? "").split(path.delimiter), "/usr/bin"]
  .map((folder) => path.join(folder, "chromium"))
  .find((file) => existsSync(file));

/** Why these tests cannot run here, or false. */
export const skip = executable || process.env.CI === "true" ? false : "there is no chromium on PATH";
