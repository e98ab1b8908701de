import { expect, test } from "vitest";
import { type Link, type Session, Trouble } from "../protocol/types.ts";
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
