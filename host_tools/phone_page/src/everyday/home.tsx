import { useEffect, useRef, useState } from "preact/hooks";
import { Button, Icon, Mark, More, Notice, Screen, Section } from "../parts/index.ts";
import type { KnownBridge } from "../protocol/types.ts";
import { texts } from "../texts.ts";
import type { Outcome } from "../visit.ts";
import { ForgetDialog } from "./forget.tsx";
import { Visited } from "./frame.tsx";
import { type Doors, useNow } from "./live.tsx";
import { shortId, standing } from "./words.ts";

const t = texts.everyday;

/** The bridges that this phone is paired with; no connection is needed to see them, nor to be let in. */
export function Home(props: {
  bridges: readonly KnownBridge[];
  doors: Doors;
  outcome: Outcome | null;
  /** What was done last. */
  said: string;
  onOutcome: (outcome: Outcome | null) => void;
  isUnfinished: (known: KnownBridge) => boolean;
  onGoOn: (known: KnownBridge) => void;
  onManage: (bridge: string) => void;
  onForget: (known: KnownBridge) => Promise<void>;
  onPair: () => void;
  onFlash: (() => void) | null;
}) {
  const { bridges } = props;
  const [forgetting, setForgetting] = useState<KnownBridge | null>(null);
  if (bridges.length === 0) {
    return (
      <Screen
        title={t.home}
        lead={t.none}
        picture={<Mark />}
        actions={<Button label={t.pair} icon="bluetooth" onTap={props.onPair} />}
      >
        {props.said && <Notice kind="good">{props.said}</Notice>}
      </Screen>
    );
  }
  return (
    <Screen
      title={bridges.length === 1 ? t.home : t.homes}
      picture={<Mark />}
      actions={
        <>
          <Button kind="plain" label={t.pairAnother} icon="plus" onTap={props.onPair} />
          {props.onFlash && <Button kind="plain" label={texts.welcome.flash} onTap={props.onFlash} />}
        </>
      }
    >
      {props.said && <Notice kind="good">{props.said}</Notice>}
      {bridges.map((known) => (
        <Card
          key={known.bridge}
          known={known}
          alone={bridges.length === 1}
          doors={props.doors}
          outcome={props.outcome?.bridge === known.bridge ? props.outcome : null}
          onOutcome={props.onOutcome}
          onGoOn={props.isUnfinished(known) ? () => props.onGoOn(known) : null}
          onManage={() => props.onManage(known.bridge)}
          onForget={() => setForgetting(known)}
          onPair={props.onPair}
        />
      ))}
      {forgetting && (
        <ForgetDialog
          known={forgetting}
          onForget={() => props.onForget(forgetting)}
          onClose={() => setForgetting(null)}
        />
      )}
    </Screen>
  );
}

function Card(props: {
  known: KnownBridge;
  /** There is no other one that it could be taken for. */
  alone: boolean;
  doors: Doors;
  outcome: Outcome | null;
  onOutcome: (outcome: Outcome | null) => void;
  onGoOn: (() => void) | null;
  onManage: () => void;
  onForget: () => void;
  onPair: () => void;
}) {
  const { known, outcome } = props;
  const now = useNow(15);
  const place = useRef<HTMLDivElement>(null);
  // What came of a visit may be far down; not before the screen has gone to its top.
  useEffect(() => {
    if (outcome && !props.alone) queueMicrotask(() => place.current?.scrollIntoView({ block: "center" }));
  }, [outcome]);
  const mine = standing(known.inUntil, now);
  // Anybody on that network may say so; until the bridge is asked again this phone cannot rely on being in.
  const unknown = outcome?.kind === "refused" && outcome.word === "bad-proof";
  const isIn = mine.state === "in" && !unknown;
  const was = mine.state === "was" && !unknown;
  const letMeIn = async () => {
    props.onOutcome(null);
    props.onOutcome(await props.doors.visit(known, "claim"));
  };
  return (
    <Section title={t.bridge(known.ssid)}>
      {!props.alone && <p class="soft small">{t.bridgeId(shortId(known.bridge))}</p>}
      <div ref={place} class={`standing ${isIn ? "in" : ""}`} role="status">
        <Icon name={isIn ? "check" : "lock"} />
        <div>
          <p class="standing-words">{isIn ? t.inUntil(mine.clock) : was ? t.wasIn(mine.clock) : t.notIn}</p>
          <p class="small">{isIn ? t.inLonger : was ? t.wasInNext : t.notInNext}</p>
        </div>
      </div>
      {outcome && (
        <Visited
          outcome={outcome}
          action={unknown && <Button kind="second" label={t.pairAgain} onTap={props.onPair} />}
        />
      )}
      {props.onGoOn && (
        <>
          <Button label={t.goOn} onTap={props.onGoOn} />
          <p class="soft small">{t.goOnHint}</p>
        </>
      )}
      {known.addr ? (
        <Button
          kind={isIn || props.onGoOn ? "second" : "main"}
          icon="play"
          label={isIn ? t.letMeInAgain : t.letMeIn}
          busyLabel={t.going}
          onTap={letMeIn}
        />
      ) : (
        !props.onGoOn && <p class="soft">{t.whereUnknown}</p>
      )}
      {isIn && <p class="soft small">{t.letMeInAgainHint}</p>}
      {known.addr && !isIn && !outcome && <p class="soft small">{texts.visitHint}</p>}
      <Button
        kind={known.addr || props.onGoOn ? "second" : "main"}
        icon="settings"
        label={t.manage}
        onTap={props.onManage}
      />
      <p class="soft small">{known.role === "owner" ? t.manageHint : t.manageGuestHint}</p>
      <More title={t.aboutBridge}>
        <p>{t.youAre(known.name, known.role)}</p>
        {props.alone && <p class="soft small">{t.bridgeId(shortId(known.bridge))}</p>}
        <Button kind="plain" icon="trash" label={t.forgetHere} onTap={props.onForget} />
      </More>
    </Section>
  );
}
