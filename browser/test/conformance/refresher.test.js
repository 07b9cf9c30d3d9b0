// @ts-check
/** The stories of conformance/refresher, played to the refresher. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { file, files } from "../../driver/loading.js";
import { play, storiesIn } from "../../driver/stories.js";

const stories = files("refresher").flatMap((path) => file(path, storiesIn));

for (const story of stories) test(story.name, () => play(story));

test("a name occurs once in the folder", () => {
  assert.equal(new Set(stories.map((story) => story.name)).size, stories.length);
});
