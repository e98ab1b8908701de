/** Which screen: a link's code or invite, a visit that comes back, the first minute where it was left, everyday, or welcome. */
import { type ComponentType, render } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { atRest, listenForBack, useBack } from "./back.ts";
import { askForBridge } from "./bluetooth.ts";
import { connector } from "./everyday/connector.ts";
import { type Doors, Everyday } from "./everyday/everyday.tsx";
import { type Begin, FirstMinute } from "./first_minute/first_minute.tsx";
import { readProgress } from "./first_minute/progress.ts";
import { Dialog, dressTexts, Screen, TroubleNotice, Waiting } from "./parts/index.ts";
import { type Found, inFragment, read } from "./protocol/links.ts";
import type { KnownBridge, Session } from "./protocol/types.ts";
import { Store } from "./store.ts";
import { texts } from "./texts.ts";
import { learnt, type Outcome, pendingVisit, resumeVisit, startVisit, takeFragment } from "./visit.ts";
import { hasBluetooth, NoBluetooth, Welcome } from "./welcome.tsx";

/** `over`: it came over another screen, which Back leads to. */
type View =
  | { at: "moment"; visiting: boolean }
  | { at: "trouble"; error: unknown }
  | { at: "welcome" }
  | { at: "no-bluetooth"; over: boolean }
  | { at: "first-minute"; begin: Begin; over: boolean; n: number }
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

const visit: Doors["visit"] = async (known, purpose) => {
  await atRest();
  return startVisit(known, purpose);
};

/** Each view that begins anew is another one, even of the same kind. */
let views = 0;
const firstMinute = (begin: Begin, over = true): View =>
  // A tab that comes back from a visit needs no Bluetooth.
  begin.from === "progress" || hasBluetooth()
    ? { at: "first-minute", begin, over, n: ++views }
    : { at: "no-bluetooth", over };
const nothingYet = (): View => (hasBluetooth() ? { at: "welcome" } : { at: "no-bluetooth", over: false });
const everyday = (outcome: Outcome | null = null, begun: { bridge: string; session: Session } | null = null): View => ({
  at: "everyday",
  outcome,
  begun,
  n: ++views,
});

async function begin(store: Store, fragment: string): Promise<View> {
  const { found, badLink } = linked(fragment);
  // Who waits for the bridge's answer has not scanned anything.
  if (found && !pendingVisit()) return firstMinute({ from: "link", found }, false);
  const outcome = await resumeVisit(fragment, (bridge) => store.get(bridge));
  if (outcome) await store.patch(outcome.bridge, learnt(outcome, Date.now()));
  const progress = readProgress();
  const known = progress && (await store.get(progress.bridge));
  if (
    progress &&
    known &&
    !progress.later &&
    (!outcome || (outcome.bridge === known.bridge && outcome.purpose === "claim"))
  )
    return firstMinute({ from: "progress", progress, known, outcome }, false);
  if (badLink) return firstMinute({ from: "nothing", badLink }, false);
  if (outcome || (await store.list()).length > 0) return everyday(outcome);
  return nothingYet();
}

function Page() {
  const [store, setStore] = useState<Store | null>(null);
  const [bridges, setBridges] = useState<KnownBridge[]>([]);
  const [view, setView] = useState<View>(() => ({ at: "moment", visiting: pendingVisit() !== null }));
  /** A code or an invite that was scanned while the page shows something else. */
  const [scanned, setScanned] = useState<Found | null>(null);
  const latest = useRef(view);
  latest.current = view;

  const open = async () => {
    const fragment = takeFragment();
    const waits = pendingVisit() !== null;
    try {
      const store = await Store.open();
      const next = await begin(store, fragment);
      setStore(store);
      setBridges(await store.list());
      setView(next);
      if (waits) setScanned(linked(fragment).found);
    } catch (error) {
      setView({ at: "trouble", error });
    }
  };
  useEffect(() => {
    void open();
    // Any page that has opened ours can send such links: nothing is begun by them alone, nor is anything lost.
    const arrived = () => {
      const { found, badLink } = linked(takeFragment());
      const { at } = latest.current;
      if (found && (at === "welcome" || at === "no-bluetooth")) setView(firstMinute({ from: "link", found }));
      // Not while a board is written to.
      else if (found && at !== "flash") setScanned(found);
      else if (badLink) setView((now) => (now.at === "welcome" ? firstMinute({ from: "nothing", badLink }) : now));
    };
    addEventListener("hashchange", arrived);
    return () => removeEventListener("hashchange", arrived);
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
      visit,
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

  const home = () => {
    setView(bridges.length > 0 ? everyday() : nothingYet());
    // Another tab, or a pairing that was left behind, may have changed it.
    void store?.list().then(
      (now) => {
        setBridges(now);
        if (now.length > 0 && bridges.length === 0) setView(everyday());
      },
      () => {}, // then it is as it was
    );
  };
  useBack(view.at === "flash" || (view.at === "no-bluetooth" && view.over) ? 1 : 0, home);
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
  const take = (found: Found) => {
    setScanned(null);
    setView(firstMinute({ from: "link", found }));
  };
  const progress = view.at === "everyday" ? readProgress() : null;
  const isUnfinished = ({ bridge, role, addr }: KnownBridge) =>
    (role === "owner" && addr === "") ||
    (progress?.bridge === bridge && (progress.place === "wifi" || progress.place === "speaker"));
  const goOn = (known: KnownBridge) =>
    setView(firstMinute({ from: "progress", progress: { bridge: known.bridge, place: "wifi" }, known, outcome: null }));
  const shown = () => {
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
            over={view.over}
            store={store}
            choose={askForBridge}
            visit={(known) => visit(known, "claim")}
            onBack={home}
            onPair={pair}
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
            isUnfinished={isUnfinished}
            onGoOn={goOn}
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
                take(read(code));
              } catch {
                pair();
              }
            }}
          />
        );
    }
  };
  return (
    <>
      {shown()}
      {scanned && (
        <Dialog
          title={scanned.kind === "code" ? texts.welcome.scannedCode : texts.welcome.scannedInvite}
          confirm={texts.welcome.scannedUse}
          onConfirm={() => take(scanned)}
          onClose={() => setScanned(null)}
        >
          {texts.welcome.scannedWords}
        </Dialog>
      )}
    </>
  );
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
  listenForBack();
  render(
    <main>
      <Page />
    </main>,
    place,
  );
}
