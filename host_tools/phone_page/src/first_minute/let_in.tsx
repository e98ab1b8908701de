import { useState } from "preact/hooks";
import { Button, Icon, Notice, Screen, TroubleNotice } from "../parts/index.ts";
import { clock } from "../everyday/words.ts";
import type { KnownBridge } from "../protocol/types.ts";
import { texts } from "../texts.ts";
import type { Outcome } from "../visit.ts";
import type { Contact } from "./contact.ts";
import type { Step } from "./wifi.tsx";

const t = texts.firstMinute;

/** Words for a visit that did not let this phone in; null for one that did. */
export function visitWords(outcome: Outcome): { what: string; next: string } | null {
  if (outcome.kind === "claimed" || outcome.kind === "opened") return null;
  return texts.visit[outcome.kind === "refused" ? outcome.word : outcome.kind];
}

/** This phone proves on the dorm's Wi-Fi who it is: it visits the bridge there. */
export function LetIn(props: {
  contact: Contact;
  known: KnownBridge;
  step: Step;
  outcome: Outcome | null;
  visit: () => Promise<Outcome>;
  /** Asks the bridge how it is, by Bluetooth, and shows what is to be done. */
  ask: () => Promise<void>;
  /** Back to the speaker; null for who may not. */
  onSpeaker: (() => void) | null;
  onWifi: () => void;
  /** For whom the bridge does not know any more. */
  onPair: () => void;
  onLater: () => void;
}) {
  const { known } = props;
  const [outcome, setOutcome] = useState(props.outcome);
  const [error, setError] = useState<unknown>(null);
  const words = outcome && visitWords(outcome);
  const go = async () => {
    setOutcome(null);
    setError(null);
    await props.contact.end();
    setOutcome(await props.visit());
  };
  const ask = async () => {
    setError(null);
    try {
      await props.ask();
    } catch (reason) {
      setError(reason);
    }
  };
  const away = known.addr === "";
  const unknown = outcome?.kind === "refused" && outcome.word === "bad-proof";
  const asking = away || (outcome !== null && ["no-answer", "another-bridge", "unproven"].includes(outcome.kind));
  return (
    <Screen
      title={away ? t.noUplinkTitle : t.letInTitle}
      lead={
        away
          ? known.role === "guest"
            ? t.noUplinkGuest
            : undefined
          : known.ssid
            ? t.letInLead(known.ssid)
            : t.letInCableLead
      }
      step={props.step}
      back={props.onSpeaker ?? undefined}
      picture={<Icon name={away ? "bridge" : "shield"} />}
      actions={
        <>
          {!away && <Button label={t.letIn} busyLabel={t.visiting} onTap={go} />}
          {away && known.role === "owner" && <Button label={t.toWifi} onTap={props.onWifi} />}
          {asking && <Button kind="second" icon="bluetooth" label={t.askBridge} onTap={ask} />}
          <Button kind="plain" label={t.later} onTap={props.onLater} />
        </>
      }
    >
      {words && (
        <Notice
          kind="trouble"
          title={words.what}
          action={unknown && <Button kind="second" label={texts.everyday.pairAgain} onTap={props.onPair} />}
        >
          {words.next}
        </Notice>
      )}
      {!away && !words && <p class="soft small">{texts.visitHint}</p>}
      {error !== null && <TroubleNotice error={error} />}
    </Screen>
  );
}

/** In. */
export function Play(props: { until: number; segment: string | null; owner: boolean; onDone: () => void }) {
  const about: Record<string, { what: string; next: string }> = t.playSegment;
  const words = props.segment && Object.hasOwn(about, props.segment) ? about[props.segment] : undefined;
  return (
    <Screen
      title={t.playTitle}
      lead={t.playLead}
      picture={<Icon name="play" />}
      actions={<Button label={t.done} onTap={props.onDone} />}
    >
      <Notice kind="good" title={t.playIn(clock(props.until, Date.now()))}>
        {t.playInNext}
      </Notice>
      {words && (
        <Notice kind="info" title={words.what}>
          {words.next}
        </Notice>
      )}
      {props.owner && <p class="soft">{t.playOther}</p>}
    </Screen>
  );
}
