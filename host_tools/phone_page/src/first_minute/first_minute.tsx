import { useEffect, useMemo, useState } from "preact/hooks";
import { useBack } from "../back.ts";
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
import { keepProgress, type Progress, readProgress } from "./progress.ts";
import { Speaker } from "./speaker.tsx";
import { useThere } from "./there.ts";
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
  | { place: "wifi"; cable: boolean; joined: string }
  | { place: "speaker"; byCable: boolean; joined: string }
  | { place: "let-in"; outcome: Outcome | null }
  | { place: "play"; until: number; segment: string | null };

/** From the label's code, or an invite, to music. */
export function FirstMinute(props: {
  begin: Begin;
  /** Whether it came over another screen of the page, which Back leads to. */
  over: boolean;
  store: Store;
  /** The browser's list, and a connection to what is chosen there; needs a tap. */
  choose: () => Promise<Link>;
  visit: (known: KnownBridge) => Promise<Outcome>;
  /** From the beginning, with another code. */
  onPair: () => void;
  /** Away from here, before this phone is paired. */
  onBack: () => void;
  /** The first minute is over, or left for later; a session that is still there goes on elsewhere. */
  onDone: (begun: { bridge: string; session: Session } | null) => void;
}) {
  const { begin, store, choose } = props;
  const [credential, setCredential] = useState<Credential | null>(null);
  const [badLink, setBadLink] = useState(begin.from === "nothing" && begin.badLink);
  const [typed, setTyped] = useState("");
  const [failed, setFailed] = useState<unknown>(null);
  const [speakersCable, setSpeakersCable] = useState(false);
  const [at, setAt] = useState<At>(() => beginning(begin));
  const contact = useMemo(
    () => new Contact(choose, store, credential, begin.from === "progress" ? begin.known : null),
    [credential],
  );
  useEffect(() => () => contact.close(), [contact]);
  const [pairing, setPairing] = useState(false);
  const there = useThere();

  const take = async (found: Found) => {
    setCredential(await credentialOf(found));
    setBadLink(false);
    setAt({ place: "find" });
  };
  useEffect(() => {
    // So that it is here again after a reload.
    if (begin.from === "progress" && at.place === "play") keepProgress({ bridge: begin.known.bridge, place: "play" });
    if (begin.from !== "link") return;
    take(begin.found).catch((reason: unknown) => {
      setFailed(reason);
      setAt({ place: "code" });
    });
  }, []);

  const show = (next: At) => {
    if (!there.current) return; // left, while the bridge was being asked
    const bridge = contact.known?.bridge;
    const { place } = next;
    // The bridge talks to one phone at a time, and from here on it goes by Wi-Fi.
    if (place === "let-in") void contact.end();
    if (bridge && (place === "wifi" || place === "speaker" || place === "let-in" || place === "play"))
      keepProgress({ bridge, place });
    setAt(next);
  };

  const isOwner = () => contact.known?.role === "owner";
  /** What is to be done next, by how the bridge is. */
  const settle = async (status: Status) => {
    const { uplink, segment, ethernet } = status;
    setSpeakersCable(ethernet === "segment");
    const isUp = uplink.state === "up" && uplink.addr !== null;
    await contact.keep(isUp ? { addr: uplink.addr!, ssid: uplink.ssid } : { addr: "" });
    if (isOwner() && !isUp) show({ place: "wifi", cable: ethernet === "uplink", joined: "" });
    else if (isOwner() && (!segment.speaker || segment.state !== "up"))
      show({ place: "speaker", byCable: ethernet === "segment", joined: at.place === "wifi" ? uplink.ssid : "" });
    else show({ place: "let-in", outcome: null });
  };
  const ask = async () => {
    const session = await contact.reach(true);
    await settle(await session.request("status", {}));
  };
  const paired = async () => {
    setTyped(""); // nothing is left of a code that was used
    await ask();
  };
  const done = () => {
    keepProgress(null);
    const bridge = contact.known?.bridge;
    const session = contact.release();
    props.onDone(session && bridge ? { bridge, session } : null);
  };
  const later = () => {
    const progress = readProgress();
    if (progress) keepProgress({ ...progress, later: true });
    props.onDone(null);
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
  const toFind = () => setAt({ place: "find" });
  /** Screens that ask the bridge; where there is no way to it without a tap, that comes first. */
  const asking = (next: At) => (contact.session || contact.isNear ? show(next) : setAt({ place: "back" }));
  const toSpeaker = () => asking({ place: "speaker", byCable: speakersCable, joined: "" });
  /** `joined`: the one that it is on already. */
  const toWifi = (joined: string) => asking({ place: "wifi", cable: false, joined });

  // The screens that Back leads to from here, the nearest first. A code that was used is behind.
  const behind: (() => void)[] = [];
  if (at.place === "name") behind.push(toFind);
  if ((at.place === "name" || at.place === "find") && begin.from === "nothing") behind.push(toCode);
  if (at.place === "speaker" && at.joined) behind.push(() => toWifi(at.joined));
  if (at.place === "let-in" && isOwner()) behind.push(toSpeaker);
  // A phone that is paired has a home here, however the page was opened.
  if (contact.known) behind.push(at.place === "play" ? done : later);
  else if (props.over) behind.push(props.onBack);
  // While it is being paired nobody leaves: the bridge may have taken the phone before this page hears of it.
  useBack(behind.length, (depth) => !pairing && behind[behind.length - 1 - depth]?.());

  switch (at.place) {
    case "code":
      return (
        <Code
          text={typed}
          onText={setTyped}
          badLink={badLink}
          failed={failed}
          step={step("code")}
          onBack={props.onBack}
          onFound={take}
        />
      );
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
      return <Name contact={contact} step={step("phone")} onPairing={setPairing} onPaired={paired} onBack={toFind} />;
    case "back":
      return <GoOn ask={ask} onLater={later} />;
    case "wifi":
      return at.cable ? (
        <Cable contact={contact} step={step("wifi")} onUp={settle} onLater={later} />
      ) : (
        <ChooseWifi
          contact={contact}
          step={step("wifi")}
          onUp={settle}
          onLater={later}
          stay={
            at.joined
              ? { ssid: at.joined, onStay: () => show({ place: "speaker", byCable: speakersCable, joined: at.joined }) }
              : null
          }
        />
      );
    case "speaker":
      return (
        <Speaker
          contact={contact}
          step={step("speaker")}
          byCable={at.byCable}
          joined={at.joined}
          // Another Wi-Fi, where the bridge has one.
          onBack={at.joined ? () => toWifi(at.joined) : undefined}
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
          onSpeaker={isOwner() ? toSpeaker : null}
          onWifi={() => toWifi("")}
          onPair={props.onPair}
          onLater={later}
        />
      );
    }
    case "play":
      return <Play until={at.until} segment={at.segment} owner={isOwner()} onDone={done} />;
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
