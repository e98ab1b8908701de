/** Which screen: a link's code or invite, a visit that comes back, the first minute where it was left, everyday, or welcome. */
import { type ComponentType, render } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import { askForBridge } from "./bluetooth.ts";
import { connector } from "./everyday/connector.ts";
import { type Doors, Everyday } from "./everyday/everyday.tsx";
import { type Begin, FirstMinute } from "./first_minute/first_minute.tsx";
import { readProgress } from "./first_minute/progress.ts";
import { dressTexts, Screen, TroubleNotice, Waiting } from "./parts/index.ts";
import { type Found, inFragment, read } from "./protocol/links.ts";
import type { KnownBridge, Session } from "./protocol/types.ts";
import { Store } from "./store.ts";
import { texts } from "./texts.ts";
import { learnt, type Outcome, pendingVisit, resumeVisit, startVisit, takeFragment } from "./visit.ts";
import { hasBluetooth, NoBluetooth, Welcome } from "./welcome.tsx";

type View =
  | { at: "moment"; visiting: boolean }
  | { at: "trouble"; error: unknown }
  | { at: "welcome" }
  | { at: "no-bluetooth" }
  | { at: "first-minute"; begin: Begin; n: number }
  | { at: "everyday"; outcome: Outcome | null; begun: { bridge: string; session: Session } | null; n: number }
  | { at: "flash" };

/** A code or an invite in the fragment that the page came with. */
function linked(fragment: string): { found: Found | null; badLink: boolean } {
  try {
    return { found: inFragment(fragment), badLink: false };
  } catch {
    return { found: null, badLink: true };
  }
}

/** Each view that begins anew is another one, even of the same kind. */
let views = 0;
const firstMinute = (begin: Begin): View =>
  // A tab that comes back from a visit needs no Bluetooth.
  begin.from === "progress" || hasBluetooth() ? { at: "first-minute", begin, n: ++views } : { at: "no-bluetooth" };
const everyday = (outcome: Outcome | null = null, begun: { bridge: string; session: Session } | null = null): View => ({
  at: "everyday",
  outcome,
  begun,
  n: ++views,
});

async function begin(store: Store, fragment: string): Promise<View> {
  const { found, badLink } = linked(fragment);
  if (found) return firstMinute({ from: "link", found });
  const outcome = await resumeVisit(fragment, (bridge) => store.get(bridge));
  const change = outcome && learnt(outcome);
  if (change) await store.patch(outcome.bridge, change);
  const progress = readProgress();
  const known = progress && (await store.get(progress.bridge));
  if (progress && known && (!outcome || (outcome.bridge === known.bridge && outcome.purpose === "claim")))
    return firstMinute({ from: "progress", progress, known, outcome });
  if (badLink) return firstMinute({ from: "nothing", badLink });
  if (outcome || (await store.list()).length > 0) return everyday(outcome);
  return hasBluetooth() ? { at: "welcome" } : { at: "no-bluetooth" };
}

function Page() {
  const [store, setStore] = useState<Store | null>(null);
  const [bridges, setBridges] = useState<KnownBridge[]>([]);
  const [view, setView] = useState<View>(() => ({ at: "moment", visiting: pendingVisit() !== null }));

  const open = async () => {
    const fragment = takeFragment();
    try {
      const store = await Store.open();
      const next = await begin(store, fragment);
      setStore(store);
      setBridges(await store.list());
      setView(next);
    } catch (error) {
      setView({ at: "trouble", error });
    }
  };
  useEffect(() => {
    void open();
    // Another code, scanned while the page is open.
    const scanned = () => {
      const { found, badLink } = linked(takeFragment());
      // Not while a board is written to, and one that is none disturbs nobody: any page that has opened ours can send them.
      if (found) setView((now) => (now.at === "flash" ? now : firstMinute({ from: "link", found })));
      else if (badLink) setView((now) => (now.at === "welcome" ? firstMinute({ from: "nothing", badLink }) : now));
    };
    addEventListener("hashchange", scanned);
    return () => removeEventListener("hashchange", scanned);
  }, []);

  const doors = useMemo<Doors | null>(() => {
    if (!store) return null;
    const list = async () => {
      const bridges = await store.list();
      setBridges(bridges);
      return bridges;
    };
    return {
      connect: connector(askForBridge, async (bridge) => (await list()).find((one) => one.bridge === bridge) ?? null),
      visit: startVisit,
      save: async (bridge, change) => {
        await store.patch(bridge, change);
        await list();
      },
      forget: async ({ bridge, phone }) => {
        const forgotten = await store.remove(bridge, phone);
        await list();
        return forgotten;
      },
    };
  }, [store]);

  const home = () =>
    setView(bridges.length > 0 ? everyday() : hasBluetooth() ? { at: "welcome" } : { at: "no-bluetooth" });
  const pair = () => setView(firstMinute({ from: "nothing", badLink: false }));
  const flash = "serial" in navigator ? () => setView({ at: "flash" }) : null;

  if (view.at === "trouble") {
    return (
      <Screen title={texts.name}>
        <TroubleNotice error={view.error} onAgain={() => location.reload()} />
      </Screen>
    );
  }
  if (view.at === "moment" || !store || !doors) {
    const visiting = view.at === "moment" && view.visiting;
    return (
      <Screen title={texts.name}>
        <Waiting>{visiting ? texts.welcome.visiting : texts.welcome.moment}</Waiting>
      </Screen>
    );
  }
  switch (view.at) {
    case "welcome":
      return <Welcome onCode={pair} onFlash={flash} />;
    case "no-bluetooth":
      return <NoBluetooth onBack={bridges.length > 0 ? home : null} onFlash={flash} />;
    case "first-minute":
      return (
        <FirstMinute
          key={view.n}
          begin={view.begin}
          store={store}
          choose={askForBridge}
          visit={(known) => startVisit(known, "claim")}
          onBack={home}
          onDone={async (begun) => {
            setBridges(await store.list());
            setView(everyday(null, begun));
          }}
        />
      );
    case "everyday":
      return (
        <Everyday
          key={view.n}
          bridges={bridges}
          outcome={view.outcome}
          begun={view.begun}
          doors={doors}
          onPair={pair}
          onFlash={flash}
        />
      );
    case "flash":
      return (
        <LazyFlash
          onBack={home}
          onPair={(code) => {
            try {
              setView(firstMinute({ from: "link", found: read(code) }));
            } catch {
              pair();
            }
          }}
        />
      );
  }
}

type FlashProps = { onPair: (code: string) => void; onBack: () => void };

/** A chunk of its own: few people flash a board. */
function LazyFlash(props: FlashProps) {
  const [Flash, setFlash] = useState<ComponentType<FlashProps> | null>(null);
  const [error, setError] = useState<unknown>(null);
  const load = async () => {
    setError(null);
    try {
      const { Flash } = await import("./flash/index.ts");
      setFlash(() => Flash);
    } catch (reason) {
      setError(reason);
    }
  };
  useEffect(() => void load(), []);
  if (Flash) return <Flash {...props} />;
  return (
    <Screen title={texts.welcome.flash} back={props.onBack}>
      {error === null ? <Waiting>{texts.welcome.moment}</Waiting> : <TroubleNotice error={error} onAgain={load} />}
    </Screen>
  );
}

// Where it cannot be had, the page works while there is a network.
if (import.meta.env.PROD && "serviceWorker" in navigator)
  void navigator.serviceWorker.register(new URL("worker.js", document.baseURI)).catch(() => {});

const place = document.getElementById("page");
if (place) {
  dressTexts();
  render(
    <main>
      <Page />
    </main>,
    place,
  );
}
