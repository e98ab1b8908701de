import { useState } from "preact/hooks";
import { useBack } from "../back.ts";
import {
  Button,
  Choice,
  CopyField,
  Field,
  Form,
  Icon,
  List,
  Notice,
  Row,
  Screen,
  Section,
  TroubleNotice,
  Waiting,
} from "../parts/index.ts";
import { isMac, isSsid, isWifiKey, tidyMac } from "../protocol/limits.ts";
import { type SetUp, type Status, Trouble } from "../protocol/types.ts";
import { texts } from "../texts.ts";
import type { Contact } from "./contact.ts";
import { Lost, useLine, useLooks } from "./lost.tsx";
import type { Step } from "./wifi.tsx";

const t = texts.firstMinute;

/** s for which the set-up window is open. */
const OPEN_S = 900;
const OTHER = "other";
type Wifi = { ssid: string; key: string };
type Part = { contact: Contact; step: Step };

/** From the speaker's Wi-Fi to the speaker being on it. */
export function Speaker(
  props: Part & { byCable: boolean; joined: string; onDone: () => void; onBack?: (() => void) | undefined },
) {
  const [at, setAt] = useState<"wait" | "knows" | "set-up">("wait");
  // Who has come back from the set-up window is not sent there again unasked.
  const [been, setBeen] = useState(false);
  const home = () => {
    setBeen(true);
    setAt("wait");
  };
  useBack(at === "wait" ? 0 : 1, home);
  if (at === "knows") return <Knows {...props} onDone={home} onBack={home} />;
  if (at === "set-up") return <NewSpeaker {...props} onDone={home} onSkip={props.onDone} />;
  return <Wait {...props} onKnows={() => setAt("knows")} onNew={() => setAt("set-up")} showsNew={!been} />;
}

/** The speaker's Wi-Fi: asked for when there is a connection. */
function useWifi(contact: Contact, on: boolean) {
  const [wifi, setWifi] = useState<Wifi | null>(null);
  useLooks(
    contact,
    async (session) => {
      setWifi(await session.request("segment", {}));
      return true;
    },
    on,
  );
  return wifi;
}

function NameAndKey({ wifi }: { wifi: Wifi }) {
  return (
    <div class="section">
      <CopyField label={t.speakerWifiName} value={wifi.ssid} />
      <CopyField label={t.speakerWifiKey} value={wifi.key} />
    </div>
  );
}

function Wait(
  props: Part & {
    byCable: boolean;
    /** The dorm's Wi-Fi, where the bridge has just joined it. */
    joined: string;
    onDone: () => void;
    onBack?: (() => void) | undefined;
    onKnows: () => void;
    onNew: () => void;
    /** Whether a window that is open, or a question that is still to be answered, is shown by itself. */
    showsNew: boolean;
  },
) {
  const line = useLine(props.contact);
  const wifi = useWifi(props.contact, !props.byCable);
  const [segment, setSegment] = useState<Status["segment"] | null>(null);
  useLooks(props.contact, async (session) => {
    const { segment } = await session.request("status", {});
    setSegment(segment);
    if (props.showsNew && (segment.state === "set-up" || segment.state === "undecided")) props.onNew();
    return false;
  });
  const there = segment?.state === "up" && segment.there !== false && segment.speaker;
  return (
    <Screen
      title={t.speakerTitle}
      lead={props.byCable ? t.speakerCableLead : t.speakerLead}
      step={props.step}
      back={props.onBack}
      actions={<Button kind={there ? "main" : "plain"} label={there ? t.next : t.speakerSkip} onTap={props.onDone} />}
    >
      <Lost line={line} />
      {props.joined && !there && <Notice kind="good">{t.joined(props.joined)}</Notice>}
      {wifi && <NameAndKey wifi={wifi} />}
      {there ? (
        <Notice kind="good" title={t.speakerThere}>
          {t.speakerThereDetail(there)}
        </Notice>
      ) : (
        line.lost === null && <Waiting>{t.speakerWaiting}</Waiting>
      )}
      {!props.byCable && !there && (
        <Section title={t.speakerHelp}>
          <List>
            <Row lead={<Icon name="speaker" />} title={t.speakerNew} detail={t.speakerNewDetail} onTap={props.onNew} />
            <Row
              lead={<Icon name="key" />}
              title={t.speakerKnows}
              detail={t.speakerKnowsDetail}
              onTap={props.onKnows}
            />
          </List>
        </Section>
      )}
    </Screen>
  );
}

/** The bridge's own Wi-Fi gets the name and the key of one that the speaker knows. */
function Knows(props: Part & { onDone: () => void; onBack: () => void }) {
  const line = useLine(props.contact);
  const [ssid, setSsid] = useState("");
  const [key, setKey] = useState("");
  const [asked, setAsked] = useState(false);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const wrong = { ssid: isSsid(ssid) ? undefined : t.ssidWrong, key: isWifiKey(key) ? undefined : t.keyWrong };
  const save = async () => {
    setAsked(true);
    if (wrong.ssid || wrong.key || busy) return;
    setBusy(true);
    setError(null);
    try {
      await line.ask((session) => session.request("segment", { ssid, key }));
      props.onDone();
    } catch (reason) {
      setError(reason);
      setBusy(false);
    }
  };
  return (
    <Screen title={t.knowsTitle} lead={t.knowsLead} step={props.step} back={props.onBack}>
      <Lost line={line} />
      {line.lost === null && error !== null && !(error instanceof Trouble) && <TroubleNotice error={error} />}
      <Form onSend={save}>
        <Field label={t.ssid} value={ssid} onInput={setSsid} error={asked ? wrong.ssid : undefined} />
        <Field
          label={t.key}
          value={key}
          onInput={setKey}
          error={asked ? wrong.key : undefined}
          password
          maxLength={63}
        />
        <p class="soft small">{t.knowsWarn}</p>
        <div class="actions">
          <Button type="submit" label={t.save} busy={busy} />
        </div>
      </Form>
    </Screen>
  );
}

/** The set-up window (SPEC 2.6), and afterwards which of those that were there is the speaker. */
function NewSpeaker(props: Part & { onDone: () => void; onSkip: () => void }) {
  const line = useLine(props.contact);
  const [state, setState] = useState<SetUp | null>(null);
  const [error, setError] = useState<unknown>(null);
  const open = state !== null && state.left_s > 0;
  const wifi = useWifi(props.contact, open);
  useLooks(props.contact, async (session) => {
    setState(await session.request("setup", {}));
    return false;
  });
  const set = async (given: { open_s?: number; speaker?: string }) => {
    setError(null);
    try {
      const now = await line.ask((session) => session.request("setup", given));
      setState(now);
      return now;
    } catch (reason) {
      if (!(reason instanceof Trouble)) setError(reason);
      return null;
    }
  };
  const close = async () => {
    const now = await set({ open_s: 0 });
    if (now && !now.undecided) props.onDone();
  };
  if (state?.undecided && !open)
    return (
      <Which {...props} onAgain={() => set({ open_s: OPEN_S })} line={line} seen={state.seen} set={set} error={error} />
    );
  return (
    <Screen
      title={t.setUpTitle}
      lead={t.setUpLead}
      step={props.step}
      back={props.onDone}
      actions={
        open ? (
          <Button label={t.setUpDone} onTap={close} />
        ) : (
          <Button label={t.setUpOpen} onTap={() => set({ open_s: OPEN_S })} />
        )
      }
    >
      <Lost line={line} />
      {error !== null && <TroubleNotice error={error} />}
      {open && <Notice kind="info" title={t.setUpLeft(Math.ceil(state.left_s / 60))} />}
      {open && wifi && <NameAndKey wifi={wifi} />}
      <ol class="todo">
        {t.setUpSteps.map((one) => (
          <li key={one}>{one}</li>
        ))}
      </ol>
    </Screen>
  );
}

function Which(
  props: Part & {
    line: ReturnType<typeof useLine>;
    seen: string[];
    set: (given: { speaker: string }) => Promise<SetUp | null>;
    error: unknown;
    onDone: () => void;
    onAgain: () => unknown;
    onSkip: () => void;
  },
) {
  const { seen } = props;
  const [choice, setChoice] = useState<string | null>(null);
  const [typed, setTyped] = useState("");
  const [asked, setAsked] = useState(false);
  const [busy, setBusy] = useState(false);
  const other = choice === OTHER || seen.length === 0;
  const mac = other ? tidyMac(typed) : choice;
  const send = async () => {
    setAsked(true);
    if (!mac || !isMac(mac) || busy) return;
    setBusy(true);
    const now = await props.set({ speaker: mac });
    setBusy(false);
    if (now && !now.undecided) props.onDone();
  };
  return (
    <Screen
      title={t.whichTitle}
      lead={seen.length > 0 ? t.whichLead : t.whichNobody}
      step={props.step}
      back={props.onDone}
    >
      <Lost line={props.line} />
      {props.error !== null && <TroubleNotice error={props.error} />}
      <Form onSend={send}>
        {seen.length > 0 && (
          <Choice
            label={t.which}
            value={choice}
            onChoose={setChoice}
            error={asked && choice === null ? t.whichChoose : undefined}
            options={[...seen.map((one) => ({ value: one, label: one })), { value: OTHER, label: t.whichOther }]}
          />
        )}
        {other && (
          <Field
            label={t.whichMac}
            value={typed}
            onInput={setTyped}
            hint={t.whichMacHint}
            error={asked && !isMac(mac ?? "") ? t.whichMacWrong : undefined}
            maxLength={17}
          />
        )}
        <div class="actions">
          <Button type="submit" label={t.choose} busy={busy} />
          <Button kind="second" label={t.whichAgain} onTap={props.onAgain} />
          <Button kind="plain" label={t.speakerSkip} onTap={props.onSkip} />
        </div>
      </Form>
    </Screen>
  );
}
