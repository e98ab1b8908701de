/** What the op `blocked` tells, as a chart by hour. SPEC 2.4, 2.7. */
import type { Blocked } from "../protocol/types.ts";

/** From the bottom of a bar to its top: the same order everywhere. */
export const GROUPS = ["strangers", "impostors", "speaker", "crowd", "odd"] as const;
export type Group = (typeof GROUPS)[number];

/** A count stays there. */
export const MOST = 65535;
const HOUR = 3_600_000;

export interface Hour {
  /** ms since 1970: when it began, as this phone's clock has it, and when it ended; the last one has not. */
  from: number;
  to: number;
  counts: { group: string; count: number; full: boolean }[];
  sum: number;
  full: boolean;
}

/** The hours, the oldest first. `asked`: when, ms since 1970. Groups that this page does not know come last. */
export function hours(answer: Blocked, asked: number): Hour[] {
  const groups = [
    ...GROUPS,
    ...Object.keys(answer.blocked).filter((name) => !(GROUPS as readonly string[]).includes(name)),
  ];
  const many = Math.max(0, ...Object.values(answer.blocked).map((counts) => counts.length));
  const present = asked - 1000 * answer.into_s;
  return Array.from({ length: many }, (_, back) => {
    const counts = groups
      .filter((group) => Object.hasOwn(answer.blocked, group))
      .map((group) => {
        const count = answer.blocked[group]![back] ?? 0;
        return { group, count, full: count >= MOST };
      });
    return {
      from: present - back * HOUR,
      to: back === 0 ? asked : present - (back - 1) * HOUR,
      counts,
      sum: counts.reduce((sum, { count }) => sum + count, 0),
      full: counts.some(({ full }) => full),
    };
  }).reverse();
}

/** By group over all hours. */
export function totals(all: readonly Hour[]): { group: string; count: number; full: boolean }[] {
  return (all[0]?.counts ?? []).map(({ group }, k) => ({
    group,
    count: all.reduce((sum, hour) => sum + hour.counts[k]!.count, 0),
    full: all.some((hour) => hour.counts[k]!.full),
  }));
}

export interface Bar {
  x: number;
  parts: { group: string; y: number; height: number }[];
}

/**
 * Stacked bars in a field of `width` by `height`, one a column of 24, the newest at the right. A few among many stay to be seen: a count above
 * nothing is at least `least` high. The scale is that of the square root: one noisy hour does not hide the others.
 */
export function bars(all: readonly Hour[], width: number, height: number, least = 3): Bar[] {
  const step = width / 24;
  const top = Math.sqrt(Math.max(1, ...all.map((hour) => hour.sum)));
  return all.map((hour, k) => {
    const counted = hour.counts.filter(({ count }) => count > 0);
    const whole = Math.max((Math.sqrt(hour.sum) / top) * height, counted.length * least);
    const spare = whole - counted.length * least;
    let y = height;
    const parts = counted.map(({ group, count }) => {
      const high = least + (spare * count) / hour.sum;
      y -= high;
      return { group, y, height: high };
    });
    return { x: width - (all.length - k) * step, parts };
  });
}
