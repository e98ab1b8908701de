/** The phone page's visits and store without its screens: what test_visit.py drives. */
import { fromHex } from "../../../host_tools/phone_page/src/protocol/bytes.ts";
import { importPhoneKey } from "../../../host_tools/phone_page/src/protocol/keys.ts";
import type { KnownBridge } from "../../../host_tools/phone_page/src/protocol/types.ts";
import { Store } from "../../../host_tools/phone_page/src/store.ts";
import { learnt, type Outcome, resumeVisit, startVisit, takeFragment } from "../../../host_tools/phone_page/src/visit.ts";

const show = (outcome: Outcome | null) => {
  document.getElementById("outcome")!.textContent = JSON.stringify(outcome);
};
const fragment = takeFragment();
const store = await Store.open();
Object.assign(window, {
  know: async (known: KnownBridge, key: string) => store.put({ ...known, ...(await importPhoneKey(fromHex(key))) }),
  visit: async (bridge: string, purpose: "claim" | "open") => {
    document.getElementById("outcome")!.textContent = "away";
    show(await startVisit((await store.get(bridge))!, purpose));
  },
});
const outcome = await resumeVisit(fragment, (bridge) => store.get(bridge));
if (outcome) await store.patch(outcome.bridge, learnt(outcome, Date.now()));
show(outcome);
