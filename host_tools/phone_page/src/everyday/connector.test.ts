import { expect, test, vi } from "vitest";
import { type KnownBridge, type Link, type Session, Trouble } from "../protocol/types.ts";
import { connector } from "./connector.ts";
import { known } from "./testing/fake.tsx";

test("the list is shown the first time, where the bridge is not near, for another bridge, and after a failure", async () => {
  let shown = 0;
  let fails = false;
  const link = {
    again: async () => {
      if (fails) throw new Trouble("out-of-range");
      return link;
    },
  } as unknown as Link;
  const connect = connector(
    async () => {
      shown++;
      return link;
    },
    async (bridge) => known({ bridge }),
    async () => ({}) as Session,
  );
  const times = async (bridge: string, isNear: boolean) => {
    await connect(known({ bridge }), isNear).catch(() => {});
    return shown;
  };
  expect(await times("a", true)).toBe(1);
  expect(await times("a", true)).toBe(1);
  expect(await times("a", false)).toBe(2);
  expect(await times("b", true)).toBe(3);
  fails = true;
  expect(await times("b", true)).toBe(3);
  expect(await times("b", true)).toBe(4);
});

test("the key is the one that is kept now, not the one that this tab began with", async () => {
  const close = vi.fn();
  const link = { close } as unknown as Link;
  const used: string[] = [];
  let kept: KnownBridge | null = known({ phone: "new" });
  const connect = connector(
    async () => link,
    async () => kept,
    async (_link, { phone }) => {
      used.push(phone);
      return {} as Session;
    },
  );
  await connect(known({ phone: "old" }), false);
  expect(used).toEqual(["new"]);
  kept = null; // forgotten in another tab
  expect(close).not.toHaveBeenCalled();
  await expect(connect(known({ phone: "old" }), false)).rejects.toMatchObject({ kind: "wrong-secret" });
  expect([used, close.mock.calls.length]).toEqual([["new"], 1]);
});
