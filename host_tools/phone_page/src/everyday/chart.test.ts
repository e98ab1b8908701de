import { expect, test } from "vitest";
import { bars, GROUPS, hours, MOST, totals } from "./chart.ts";

const HOUR = 3_600_000;
const NOW = 1_700_000_000_000;

const none = Object.fromEntries(GROUPS.map((group) => [group, [0, 0]]));

test("hours are the oldest first, and end where the bridge's do", () => {
  const all = hours({ blocked: { ...none, strangers: [4, 9] }, into_s: 600 }, NOW);
  expect(all.map(({ from, to, sum }) => [from, to, sum])).toEqual([
    [NOW - 600_000 - HOUR, NOW - 600_000, 9],
    [NOW - 600_000, NOW, 4],
  ]);
  expect(all[0]!.counts.map(({ group }) => group)).toEqual([...GROUPS]);
});

test("a bridge that has just started has one hour", () => {
  const all = hours({ blocked: { strangers: [0] }, into_s: 3 }, NOW);
  expect(all).toHaveLength(1);
  expect(bars(all, 240, 100)).toEqual([{ x: 230, parts: [] }]);
});

test("a count that stays at its most says so, and one below does not", () => {
  const all = hours({ blocked: { strangers: [MOST, MOST - 1] }, into_s: 0 }, NOW);
  expect(all.map(({ full }) => full)).toEqual([false, true]);
  expect(totals(all)).toEqual([{ group: "strangers", count: 2 * MOST - 1, full: true }]);
});

test("a group of a newer firmware comes last", () => {
  const all = hours({ blocked: { newer: [1], ...none }, into_s: 0 }, NOW);
  expect(all.at(-1)!.counts.at(-1)).toEqual({ group: "newer", count: 1, full: false });
});

test("nothing at all", () => {
  expect(hours({ blocked: {}, into_s: 0 }, NOW)).toEqual([]);
  expect(totals([])).toEqual([]);
  expect(bars([], 240, 100)).toEqual([]);
});

test("bars stand on the line, reach the top once, and lose nobody", () => {
  const all = hours({ blocked: { ...none, strangers: [1, 10000], impostors: [0, 1] }, into_s: 0 }, NOW);
  const [most, few] = bars(all, 240, 100);
  expect(most!.parts[0]!.y + most!.parts[0]!.height).toBe(100);
  expect(most!.parts.at(-1)!.y).toBeCloseTo(0);
  expect(most!.parts.map(({ group }) => group)).toEqual(["strangers", "impostors"]);
  expect(most!.parts[1]!.height).toBeGreaterThanOrEqual(3);
  expect(few!.parts).toEqual([{ group: "strangers", y: 97, height: 3 }]);
  expect([most!.x, few!.x]).toEqual([220, 230]);
});
