import type { ComponentChildren } from "preact";
import { useContext } from "preact/hooks";
import { Button, CopyField, Notice, Screen, TroubleNotice, Waiting } from "../parts/index.ts";
import { Refused, Trouble } from "../protocol/types.ts";
import { texts } from "../texts.ts";
import type { Outcome } from "../visit.ts";
import { NotAccepted } from "./forget.tsx";
import { type Asked, type Doing, OverContext, useLive } from "./live.tsx";

const t = texts.everyday;

/** A screen of the connected part: its way back, and what became of the connection. */
export function Frame(props: {
  title: string;
  lead?: ComponentChildren;
  /** Where "Back" leads; the overview itself has none. */
  home?: boolean;
  actions?: ComponentChildren;
  children?: ComponentChildren;
}) {
  const { session, back } = useLive();
  return (
    <Screen title={props.title} lead={props.lead} back={props.home ? undefined : back} actions={props.actions}>
      {!session && <Over />}
      {props.children}
    </Screen>
  );
}

/** The connection is over: says so, and how to go on right here. */
function Over() {
  const { known } = useLive();
  const over = useContext(OverContext);
  if (!over) return null;
  const unknown = over.error instanceof Trouble && over.error.kind === "wrong-secret";
  return (
    <>
      {unknown && <NotAccepted known={known} onForget={over.forget} />}
      <Notice
        kind="info"
        title={t.over}
        action={
          <Button
            kind="main"
            icon="bluetooth"
            label={t.connectAgain}
            busyLabel={t.connecting}
            busy={over.connecting}
            onTap={over.connect}
          />
        }
      >
        {over.long ? t.overLong : t.overFar}
      </Notice>
      {over.error !== null && !unknown && !over.connecting && (over.attempted || !isPlain(over.error)) && (
        <Problem error={over.error} />
      )}
    </>
  );
}

/** Ends that are told in the same words. */
const isPlain = (error: unknown) =>
  error instanceof Trouble && ["out-of-range", "hung-up", "timeout"].includes(error.kind);

/** What the bridge said to a request it refused stands in front: it knows best. What to do is ours where we know more. */
export function Problem({ error, again }: { error: unknown; again?: (() => unknown) | undefined }) {
  const live = useLive();
  if (error === null) return null;
  if (!(error instanceof Refused)) return <TroubleNotice error={error} onAgain={again} />;
  if (error.word === "last-owner") {
    return (
      <Notice
        kind="trouble"
        title={t.lastOwner}
        action={
          <div class="actions">
            <Button kind="second" label={t.toInviteOwner} onTap={() => live.go("invite")} />
            <Button kind="plain" label={t.toReset} onTap={() => live.go("experts")} />
          </div>
        }
      >
        {t.lastOwnerNext}
      </Notice>
    );
  }
  return (
    <Notice
      kind="trouble"
      title={error.say}
      action={again && <Button kind="second" icon="refresh" label={t.tryAgain} onTap={again} />}
    >
      {Object.hasOwn(t.refused, error.word) ? t.refused[error.word] : ""}
    </Notice>
  );
}

/** How asking goes: waiting for a first answer, or why there is none. Nothing when there is an answer. */
export function Answer({ asked }: { asked: Asked<unknown> }) {
  const { session } = useLive();
  if (asked.error !== null && session) return <Problem error={asked.error} again={asked.again} />;
  if (asked.value === null && session) return <Waiting>{t.loading}</Waiting>;
  return null;
}

/** How doing went. */
export function Outcome({ doing }: { doing: Doing }) {
  const { session } = useLive();
  if (doing.error !== null && (session || doing.error instanceof Refused)) return <Problem error={doing.error} />;
  return doing.done ? <Notice kind="good">{doing.done}</Notice> : null;
}

/** What came of asking the bridge over Wi-Fi. Being let in shows by itself; that there is no music nevertheless does not. */
export function Visited({ outcome, action }: { outcome: Outcome; action?: ComponentChildren }) {
  if (outcome.kind === "claimed") {
    const words = outcome.segment && t.claimedNoMusic[outcome.segment];
    return words ? <Notice kind="info">{words}</Notice> : null;
  }
  if (outcome.kind === "opened") return <Notice kind="good">{t.opened}</Notice>;
  const words = texts.visit[outcome.kind === "refused" ? outcome.word : outcome.kind];
  return (
    <Notice kind="trouble" title={words.what} action={action}>
      {words.next}
    </Notice>
  );
}

/** The bridge's own MAC on the dorm's network. */
export function OwnMac({ mac }: { mac: string | undefined }) {
  if (!mac) return null;
  return (
    <div>
      <CopyField label={t.macOf} value={mac} />
      <p class="soft small">{t.macHint}</p>
    </div>
  );
}
