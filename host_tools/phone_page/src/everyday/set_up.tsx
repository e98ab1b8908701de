import { useState } from "preact/hooks";
import { Button, Choice, Field, Form, Icon, List, Notice, Row, Section } from "../parts/index.ts";
import { isMac, tidyMac } from "../protocol/limits.ts";
import type { SetUp as State, Session } from "../protocol/types.ts";
import { texts } from "../texts.ts";
import { Answer, Frame, Outcome } from "./frame.tsx";
import { type Doing, useAsked, useDoing, useLive } from "./live.tsx";
import { NameAndKey } from "./speaker_wifi.tsx";

const t = texts.everyday;

/** s: how long the window is open. */
const OPEN_S = 900;
/** s between two looks at who is there. */
const LOOK_S = 3;
const OTHER = "other";

/** The window in which a second machine may be beside the speaker (SPEC 2.6). */
export function SetUp() {
  const asked = useAsked((session: Session) => session.request("setup", {}), LOOK_S);
  const doing = useDoing();
  const state = asked.value;
  const set = (given: { open_s?: number; speaker?: string }) =>
    doing.run(async (session) => asked.put(await session.request("setup", given)));
  return (
    <Frame title={t.setUp} lead={t.setUpLead}>
      <Answer asked={asked} />
      <Outcome doing={doing} />
      {state &&
        (state.left_s > 0 ? (
          <Open state={state} doing={doing} set={set} />
        ) : (
          <Closed state={state} doing={doing} set={set} />
        ))}
    </Frame>
  );
}

type Parts = { state: State; doing: Doing; set: (given: { open_s?: number; speaker?: string }) => Promise<boolean> };

function Open({ state, doing, set }: Parts) {
  const { session } = useLive();
  const wifi = useAsked((session) => session.request("segment", {}));
  return (
    <>
      <Notice kind="info" title={t.setUpLeft(t.span(state.left_s))}>
        {t.setUpWarn}
      </Notice>
      <ol class="todo">
        {t.setUpSteps.map((step) => (
          <li key={step}>{step}</li>
        ))}
      </ol>
      {wifi.value && (
        <Section title={t.speakerWifi}>
          <NameAndKey wifi={wifi.value} />
        </Section>
      )}
      <Seen state={state} />
      <Button label={t.setUpDone} onTap={() => set({ open_s: 0 })} busy={doing.busy} disabled={!session} />
    </>
  );
}

function Seen({ state }: { state: State }) {
  return (
    <Section title={t.setUpSeen}>
      {state.seen.length === 0 && <p class="soft">{t.setUpNobody}</p>}
      {state.seen.length > 0 && (
        <List label={t.setUpSeen}>
          {state.seen.map((mac) => (
            <Row key={mac} lead={<Icon name="speaker" />} title={mac} />
          ))}
        </List>
      )}
      {state.forgotten > 0 && <p class="soft">{t.setUpForgotten}</p>}
    </Section>
  );
}

function Closed({ state, doing, set }: Parts) {
  const { session } = useLive();
  const chosen = state.speaker;
  return (
    <>
      {state.undecided ? (
        <Notice kind="trouble">{t.setUpUndecided}</Notice>
      ) : (
        <Notice kind="info" title={chosen ? t.setUpChosen(chosen) : t.setUpAnybody}>
          {chosen && (
            <>
              {!state.seen.includes(chosen) && <p>{t.setUpChosenAway}</p>}
              <p>{t.setUpForget}</p>
            </>
          )}
        </Notice>
      )}
      {state.undecided && <Which state={state} doing={doing} set={set} />}
      <Section title={t.setUpOpenTitle}>
        <p class="soft">{t.setUpWarn}</p>
        <Button
          kind={state.undecided ? "second" : "main"}
          label={t.setUpOpen}
          onTap={() => set({ open_s: OPEN_S })}
          busy={doing.busy}
          disabled={!session}
        />
      </Section>
      {!state.undecided && <Which state={state} doing={doing} set={set} />}
    </>
  );
}

/** One of those that were there, or what the speaker's label says. */
function Which({ state, doing, set }: Parts) {
  const { session } = useLive();
  const [choice, setChoice] = useState<string | null>(state.seen.length === 0 ? OTHER : null);
  const [typed, setTyped] = useState("");
  const [tried, setTried] = useState(false);
  const mac = choice === OTHER ? tidyMac(typed) : choice;
  const wrong = choice === OTHER && !isMac(mac!) ? t.setUpMacWrong : undefined;
  const send = () => {
    setTried(true);
    if (mac && !wrong) return set({ speaker: mac });
  };
  return (
    <Section title={t.setUpWhich}>
      <p class="soft">{t.setUpMacHint}</p>
      <Form onSend={send}>
        {state.seen.length > 0 && (
          <Choice
            label={t.setUpSeen}
            value={choice}
            onChoose={setChoice}
            options={[...state.seen.map((mac) => ({ value: mac, label: mac })), { value: OTHER, label: t.setUpOther }]}
          />
        )}
        {choice === OTHER && (
          <Field label={t.setUpMac} value={typed} onInput={setTyped} error={tried ? wrong : undefined} maxLength={17} />
        )}
        <Button
          type="submit"
          kind={state.undecided ? "main" : "second"}
          label={t.setUpChoose}
          busy={doing.busy}
          disabled={!session || choice === null}
        />
      </Form>
    </Section>
  );
}
