import { useEffect, useRef } from "preact/hooks";
import type { Reach } from "../first_minute/contact.ts";
import { ChooseWifi } from "../first_minute/wifi.tsx";
import { useLive } from "./live.tsx";

/** One more of the dorm's networks: the first minute's screens, on the session that there is. */
export function JoinWifi() {
  const live = useLive();
  const latest = useRef(live);
  latest.current = live;
  const contact = useRef<Reach>({
    get session() {
      return latest.current.session;
    },
    get trouble() {
      return latest.current.trouble;
    },
    get isNear() {
      return latest.current.isNear();
    },
    reach: (tap) => latest.current.reach(tap),
    onChange: () => {},
  });
  useEffect(() => contact.current.onChange(), [live.session, live.trouble]);
  return <ChooseWifi contact={contact.current} onUp={live.back} onBack={live.back} />;
}
