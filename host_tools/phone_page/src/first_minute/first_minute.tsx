import { useEffect, useMemo, useState } from "preact/hooks";
import { Button, Icon, Screen, TroubleNotice } from "../parts/index.ts";
import { credentialOf, type Found } from "../protocol/links.ts";
import type { Credential, KnownBridge, Link, Session, Status } from "../protocol/types.ts";
import type { Store } from "../store.ts";
import { texts } from "../texts.ts";
import type { Outcome } from "../visit.ts";
import { Find, Name } from "./bridge.tsx";
import { Code } from "./code.tsx";
import { Contact } from "./contact.ts";
import { LetIn, Play } from "./let_in.tsx";
import { keepProgress, type Progress } from "./progress.ts";
import { Speaker } from "./speaker.tsx";
import { Cable, ChooseWifi, type Step } from "./wifi.tsx";

const t = texts.firstMinute;

/** Where it begins: with nothing, with what a link brought, or where this tab was before it left. */
export type Begin =
  | { from: "nothing"; badLink: boolean }
  | { from: "link"; found: Found }
  | { from: "progress"; progress: Progress; known: KnownBridge; outcome: Outcome | null };

type At =
  | { place: "code" }
  | { place: "find" }
  | { place: "name" }
  | { place: "back" } // paired; the bridge is to be asked how it is
  | { place: "wifi"; cable: boolean }
  | { place: "speaker"; byCable: boolean; joined: string }
  | { place: "let-in"; outcome: Outcome | null }
  | { place: "play"; until: number; segment: string | null };

/** From the label's code, or an invite, to music. */
export function FirstMinute(props: {
  begin: Begin;
  store: Store;
  /** The browser's list, and a connection to what is chosen there; needs a tap. */
  choose: () => Promise<Link>;
  visit: (known: KnownBridge) => Promise<Outcome>;
  /** Away from here, before this phone is paired. */
  onBack: () => void;
  /** The first minute is over; a session that is still there goes on elsewhere. */
  onDone: (begun: { bridge: string; session: Session } | null) => void;
}) {
  const { begin, store, choose } = props;
  const [credential, setCredential] = useState<Credential | null>(null);
  const [badLink, setBadLink] = useState(begin.from === "nothing" && begin.badLink);
  const [speakersCable, setSpeakersCable] = useState(false);
  const [at, setAt] = useState<At>(() => beginning(begin));
  const contact = useMemo(
    () => new Contact(choose, store, credential, begin.from === "progress" ? begin.known : null),
    [credential],
  );
  useEffect(() => () => contact.close(), [contact]);

  const take = async (found: Found) => {
    setCredential(await credentialOf(found));
    setBadLink(false);
    setAt({ place: "find" });
  };
  useEffect(() => {
    if (begin.from === "link") void take(begin.found);
  }, []);

  const show = (next: At) => {
    const bridge = contact.known?.bridge;
    const { place } = next;
    // The bridge talks to one phone at a time, and from here on it goes by Wi-Fi.
    if (place === "let-in") void contact.end();
    if (bridge && (place === "wifi" || place === "speaker" || place === "let-in" || place === "play"))
      keepProgress({ bridge, place });
    setAt(next);
  };

  /** What is to be done next, by how the bridge is. */
  const settle = async (status: Status) => {
    const { uplink, segment, ethernet } = status;
    const owner = contact.known?.role === "owner";
    setSpeakersCable(ethernet === "segment");
    const isUp = uplink.state === "up" && uplink.addr !== null;
    await contact.keep(isUp ? { addr: uplink.addr!, ssid: uplink.ssid } : { addr: "" });
    if (owner && !isUp) show({ place: "wifi", cable: ethernet === "uplink" });
    else if (owner && (!segment.speaker || segment.state !== "up"))
      show({ place: "speaker", byCable: ethernet === "segment", joined: at.place === "wifi" ? uplink.ssid : "" });
    else show({ place: "let-in", outcome: null });
  };
  const ask = async () => {
    const session = await contact.reach(true);
    await settle(await session.request("status", {}));
  };
  const done = () => {
    keepProgress(null);
    const bridge = contact.known?.bridge;
    const session = contact.release();
    props.onDone(session && bridge ? { bridge, session } : null);
  };

  const guest = contact.known ? contact.known.role === "guest" : credential?.mode === "invite";
  const places: readonly (keyof typeof t.steps)[] = guest
    ? ["code", "bridge", "phone", "letIn"]
    : ["code", "bridge", "phone", "wifi", "speaker", "letIn"];
  const step = (name: keyof typeof t.steps): Step => ({
    n: Math.max(1, places.indexOf(name) + 1),
    of: places.length,
    name: t.steps[name],
  });
  const toCode = () => {
    contact.close();
    setAt({ place: "code" });
  };

  switch (at.place) {
    case "code":
      return <Code badLink={badLink} step={step("code")} onBack={props.onBack} onFound={take} />;
    case "find":
      return (
        <Find
          contact={contact}
          invite={credential?.mode === "invite"}
          step={step("bridge")}
          onFound={() => setAt({ place: "name" })}
          onOtherCode={toCode}
        />
      );
    case "name":
      return <Name contact={contact} step={step("phone")} onPaired={ask} onBack={() => setAt({ place: "find" })} />;
    case "back":
      return <GoOn ask={ask} onLater={done} />;
    case "wifi":
      return at.cable ? (
        <Cable contact={contact} step={step("wifi")} onUp={settle} />
      ) : (
        <ChooseWifi contact={contact} step={step("wifi")} onUp={settle} onLater={done} />
      );
    case "speaker":
      return (
        <Speaker
          contact={contact}
          step={step("speaker")}
          byCable={at.byCable}
          joined={at.joined}
          // Another Wi-Fi, where the bridge has one.
          onBack={at.joined ? () => show({ place: "wifi", cable: false }) : undefined}
          onDone={() => show({ place: "let-in", outcome: null })}
        />
      );
    case "let-in": {
      const { known } = contact;
      if (!known) return null;
      return (
        <LetIn
          contact={contact}
          known={known}
          step={step("letIn")}
          outcome={at.outcome}
          visit={() => props.visit(known)}
          ask={ask}
          onSpeaker={
            known.role === "owner" ? () => show({ place: "speaker", byCable: speakersCable, joined: "" }) : null
          }
          onWifi={() => show({ place: "wifi", cable: false })}
          onLater={done}
        />
      );
    }
    case "play":
      return <Play until={at.until} segment={at.segment} onDone={done} />;
  }
}

function beginning(begin: Begin): At {
  if (begin.from === "nothing") return { place: "code" };
  if (begin.from === "link") return { place: "find" };
  const { outcome, progress, known } = begin;
  if (outcome?.kind === "claimed") return { place: "play", until: outcome.until, segment: outcome.segment };
  if (progress.place === "play" && known.inUntil > Date.now())
    return { place: "play", until: known.inUntil, segment: null };
  if (progress.place === "let-in" || progress.place === "play") return { place: "let-in", outcome };
  return { place: "back" };
}

/** Paired, but the connection is gone with the page that was here before. */
function GoOn(props: { ask: () => Promise<void>; onLater: () => void }) {
  const [error, setError] = useState<unknown>(null);
  const go = async () => {
    setError(null);
    try {
      await props.ask();
    } catch (reason) {
      setError(reason);
    }
  };
  return (
    <Screen
      title={t.goOnTitle}
      lead={t.goOnLead}
      picture={<Icon name="bluetooth" />}
      actions={
        <>
          <Button icon="bluetooth" label={t.connect} busyLabel={t.connecting} onTap={go} />
          <Button kind="plain" label={t.later} onTap={props.onLater} />
        </>
      }
    >
      {error !== null && <TroubleNotice error={error} />}
      <p class="soft small">{t.buttonHint}</p>
    </Screen>
  );
}
