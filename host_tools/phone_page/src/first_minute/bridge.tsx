import { useState } from "preact/hooks";
import { Button, Field, Form, Icon, Notice, Screen, TroubleNotice } from "../parts/index.ts";
import { isName } from "../protocol/limits.ts";
import { Trouble } from "../protocol/types.ts";
import { texts } from "../texts.ts";
import type { Contact } from "./contact.ts";
import { useThere } from "./there.ts";
import { deviceName } from "./words.ts";

const t = texts.firstMinute;
type Step = { n: number; of: number; name: string };

/** The browser's list, then both sides prove the code to each other. */
export function Find(props: {
  contact: Contact;
  invite: boolean;
  step: Step;
  onFound: () => void;
  onOtherCode: () => void;
}) {
  const [error, setError] = useState<unknown>(null);
  const find = async () => {
    setError(null);
    try {
      await props.contact.reach(true);
      props.onFound();
    } catch (reason) {
      setError(reason);
    }
  };
  const kind = error instanceof Trouble ? error.kind : null;
  const wrong = kind === "wrong-secret" || kind === "no-invite";
  const words = props.invite ? t.wrongInvite : t.wrongCode;
  return (
    <Screen
      title={t.findTitle}
      lead={props.invite ? t.inviteLead : t.findLead}
      step={props.step}
      back={props.onOtherCode}
      picture={<Icon name="bluetooth" />}
      actions={
        <>
          {/* One button whatever it says: it keeps the focus. */}
          <Button
            {...(wrong
              ? { label: props.invite ? t.typeInvite : t.typeAgain, onTap: props.onOtherCode }
              : { label: t.find, onTap: find, icon: "bluetooth" as const, busyLabel: t.finding })}
          />
          {wrong && <Button kind="second" icon="bluetooth" label={t.find} busyLabel={t.finding} onTap={find} />}
        </>
      }
    >
      {wrong ? (
        <Notice kind="trouble" title={words.what}>
          {words.next}
        </Notice>
      ) : error !== null ? (
        <TroubleNotice error={error} />
      ) : (
        <p class="soft small">{t.asksBluetooth}</p>
      )}
    </Screen>
  );
}

/** The bridge is found and proven; this phone gets its name there, and is paired. */
export function Name(props: {
  contact: Contact;
  step: Step;
  /** Told as pairing begins, and as it ends. */
  onPairing: (on: boolean) => void;
  onPaired: () => Promise<void>;
  onBack: () => void;
}) {
  const [name, setName] = useState(() => deviceName(navigator.userAgent));
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const wrong = !isName(name.trim());
  const there = useThere();
  const pair = async () => {
    if (wrong || busy) return;
    setBusy(true);
    props.onPairing(true);
    setError(null);
    try {
      await props.contact.pair(name.trim());
      // Who has gone back meanwhile stays there.
      if (there.current) await props.onPaired();
    } catch (reason) {
      setError(reason);
    } finally {
      setBusy(false);
      props.onPairing(false);
    }
  };
  return (
    <Screen
      title={t.foundTitle}
      lead={t.foundLead}
      step={props.step}
      back={busy ? undefined : props.onBack}
      picture={<Icon name="phone" />}
    >
      <Form onSend={pair}>
        <Field
          label={t.name}
          value={name}
          onInput={setName}
          hint={t.nameHint}
          error={wrong ? t.nameWrong : undefined}
          maxLength={64}
        />
        {error !== null && <TroubleNotice error={error} />}
        <div class="actions">
          <Button type="submit" label={t.pair} busyLabel={t.pairing} busy={busy} disabled={wrong} />
        </div>
      </Form>
    </Screen>
  );
}
