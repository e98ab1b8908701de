import { Button, Icon, Notice, Screen, Section, TroubleNotice } from "../parts/index.ts";
import { type KnownBridge, Trouble } from "../protocol/types.ts";
import { texts } from "../texts.ts";
import type { Outcome } from "../visit.ts";
import { NotAccepted } from "./forget.tsx";
import { Visited } from "./frame.tsx";
import type { Doors } from "./live.tsx";

const t = texts.everyday;

/** The way to a connection: Bluetooth on, where it is off, and the browser's list. */
export function Connect(props: {
  known: KnownBridge;
  doors: Doors;
  outcome: Outcome | null;
  onOutcome: (outcome: Outcome | null) => void;
  error: unknown;
  /** Its Bluetooth was on a moment ago. */
  isNear: boolean;
  connecting: boolean;
  onBack: () => void;
  onConnect: () => Promise<void>;
  onForget: () => Promise<void>;
}) {
  const { known, error } = props;
  // In everyday life its Bluetooth is off: who can switch it on does that first.
  const isOff = !props.isNear && props.outcome?.kind !== "opened";
  const mayOpen = known.role === "owner" && known.addr !== "";
  const isShutOut = error instanceof Trouble && error.kind === "wrong-secret";
  const open = async () => {
    props.onOutcome(null);
    props.onOutcome(await props.doors.visit(known, "open"));
  };
  return (
    <Screen
      title={t.connectTitle}
      lead={mayOpen && isOff ? t.openLead : t.connectLead}
      back={props.onBack}
      picture={<Icon name="bluetooth" />}
    >
      {props.outcome?.kind === "opened" ? (
        <Notice kind="good">{t.opened}</Notice>
      ) : (
        props.outcome && <Visited outcome={props.outcome} />
      )}
      {isShutOut ? (
        <NotAccepted known={known} onForget={props.onForget} />
      ) : (
        error !== null &&
        !props.connecting &&
        (error instanceof Trouble && error.kind === "nobody-chosen" ? (
          <Notice kind="trouble" title={t.noneChosen.what}>
            {t.noneChosen.next}
          </Notice>
        ) : (
          <TroubleNotice error={error} />
        ))
      )}
      {mayOpen && isOff && (
        <>
          <Button label={t.openOverWifi} busyLabel={t.going} onTap={open} />
          <p class="soft small">
            {t.openOverWifiHint} {texts.visitHint}
          </p>
        </>
      )}
      <Button
        icon="bluetooth"
        kind={mayOpen && isOff ? "second" : "main"}
        label={t.connect}
        busyLabel={t.connecting}
        busy={props.connecting}
        onTap={props.onConnect}
      />
      <Section title={t.bluetoothOff}>
        {!(mayOpen && isOff) && <p class="soft">{t.bluetoothOffWhy}</p>}
        {mayOpen && !isOff && <Button kind="second" label={t.openOverWifi} busyLabel={t.going} onTap={open} />}
        <p>{known.role === "owner" ? t.pressButton : t.pressButtonGuest}</p>
      </Section>
    </Screen>
  );
}
