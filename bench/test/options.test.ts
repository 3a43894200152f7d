import { expect, test } from "vitest";
import { MODEL_IDS } from "../src/models.js";
import { parseOptions } from "../src/options.js";

test("without arguments everything is measured three times", () => {
  const options = parseOptions([]);
  expect(options).toMatchObject({ quick: false, rounds: 3, browser: "chromium", chromium_flags: [], out: undefined });
  expect(MODEL_IDS.filter((id) => options.models.test(id))).toHaveLength(12);
});

test("--quick is one round of four models, unless more is asked for", () => {
  const quick = parseOptions(["--quick"]);
  expect(quick.rounds).toBe(1);
  expect(MODEL_IDS.filter((id) => quick.models.test(id))).toEqual(["story", "15M-Q8_0", "135M-Q8_0", "135M-Q4_0"]);
  const asked = parseOptions(["--quick", "--rounds", "2", "--models", "0.5B"]);
  expect(asked.rounds).toBe(2);
  expect(MODEL_IDS.filter((id) => asked.models.test(id))).toEqual(["0.5B-Q8_0", "0.5B-Q4_0", "0.5B-Q4_K_M"]);
});

test("several flags for the browser are one argument", () => {
  const { chromium_flags } = parseOptions(["--chromium-flags=--js-flags=--no-enable-avx-vnni  --enable-x"]);
  expect(chromium_flags).toEqual(["--js-flags=--no-enable-avx-vnni", "--enable-x"]);
});

test.each([["--rounds=0"], ["--rounds=two"], ["--browser=lynx"], ["--engine=x"], ["--models=("], ["--profile --browser=firefox"]])("refuses %s", (argument) => {
  expect(() => parseOptions(argument.split(" "))).toThrow();
});
