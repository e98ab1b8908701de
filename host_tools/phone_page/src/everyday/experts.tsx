import { useState } from "preact/hooks";
import { Button, Choice, Dialog, Field, Form, List, Row, Section } from "../parts/index.ts";
import type { Session, Status } from "../protocol/types.ts";
import { texts } from "../texts.ts";
import { Answer, Frame, Outcome } from "./frame.tsx";
import { type Asked, useAsked, useDoing, useLive } from "./live.tsx";
import { hostTrouble, serviceTrouble } from "./words.ts";

const t = texts.everyday;

type Mode = Status["mode"];
type Ethernet = "segment" | "uplink";
type All = {
  services: string[];
  mode: Mode;
  hosts: string[];
  ethernet: { ethernet: Ethernet | null; now: Ethernet | null };
};

async function all(session: Session): Promise<All> {
  const { services } = await session.request("services", {});
  const { mode, hosts } = await session.request("addressing", {});
  return { services, mode, hosts, ethernet: await session.request("ethernet", {}) };
}

/** What few people need, for owners. */
export function Experts() {
  const { go } = useLive();
  const asked = useAsked(all);
  return (
    <Frame title={t.experts} lead={t.expertsLead}>
      <Answer asked={asked} />
      {asked.value && (
        <>
          <Services asked={asked} value={asked.value} />
          <Addressing asked={asked} value={asked.value} />
          <Hosts asked={asked} value={asked.value} />
          {asked.value.ethernet.ethernet && <OnCable asked={asked} value={asked.value} />}
        </>
      )}
      <Section title={t.log}>
        <List label={t.log}>
          <Row title={t.logOpen} detail={t.logHint} onTap={() => go("log")} />
        </List>
      </Section>
      <Reboot />
      <Reset />
    </Frame>
  );
}

type Part = { asked: Asked<All>; value: All };

/** Words in a list, each of which can be taken away, and one more can be added. */
function Words(props: {
  label: string;
  words: string[];
  none: string;
  field: string;
  trouble: (word: string) => string;
  onAdd: (word: string) => Promise<boolean>;
  onTake: (word: string) => unknown;
  busy: boolean;
}) {
  const { session } = useLive();
  const [text, setText] = useState("");
  const [wrong, setWrong] = useState("");
  const add = async () => {
    const word = text.trim().toLowerCase();
    const trouble = props.trouble(word);
    setWrong(trouble);
    if (!trouble && (await props.onAdd(word))) setText("");
  };
  return (
    <>
      {props.words.length === 0 && <p>{props.none}</p>}
      {props.words.length > 0 && (
        <List label={props.label}>
          {props.words.map((word) => (
            <Row
              key={word}
              title={word}
              end={
                <button
                  type="button"
                  class="small-button"
                  aria-label={t.take(word)}
                  aria-disabled={!session || props.busy}
                  onClick={() => {
                    if (session && !props.busy) void props.onTake(word);
                  }}
                >
                  {t.takeShort}
                </button>
              }
            />
          ))}
        </List>
      )}
      <Form onSend={add}>
        <Field label={props.field} value={text} onInput={setText} error={wrong || undefined} />
        <Button type="submit" kind="second" label={t.add} busy={props.busy} disabled={!session} />
      </Form>
    </>
  );
}

function Services({ asked, value }: Part) {
  const doing = useDoing();
  const [taking, setTaking] = useState<string | null>(null);
  const set = (services: string[]) =>
    doing.run(async (session) => {
      const now = await session.request("services", { services });
      asked.put({ ...value, ...now });
      return now.services.length > 0 ? t.servicesNow(now.services.join(", ")) : t.servicesNone;
    });
  return (
    <Section title={t.services}>
      <p class="soft">{t.servicesLead}</p>
      <Outcome doing={doing} />
      <Words
        label={t.services}
        words={value.services}
        none={t.servicesNone}
        field={t.service}
        trouble={(word) => serviceTrouble(word, value.services)}
        onAdd={(word) => set([...value.services, word])}
        onTake={setTaking}
        busy={doing.busy}
      />
      {taking !== null && (
        <Dialog
          title={t.takeTitle(taking)}
          confirm={t.takeYes}
          danger
          onConfirm={async () => {
            setTaking(null);
            await set(value.services.filter((one) => one !== taking));
          }}
          onClose={() => setTaking(null)}
        >
          <p>{t.servicesWarn}</p>
          {taking === "tcp/1400" && <p>{t.takeControl}</p>}
        </Dialog>
      )}
    </Section>
  );
}

const MODES: readonly Mode[] = ["passthrough", "private"];

function Addressing({ asked, value }: Part) {
  const { session } = useLive();
  const doing = useDoing();
  const [mode, setMode] = useState<Mode>(value.mode);
  const [asking, setAsking] = useState(false);
  const confirm = async () => {
    setAsking(false);
    await doing.run(async (session) => {
      asked.put({ ...value, ...(await session.request("addressing", { mode })) });
      return t.modeDone;
    });
  };
  return (
    <Section title={t.mode}>
      <Outcome doing={doing} />
      <Choice
        label={t.modeLabel}
        value={mode}
        onChoose={setMode}
        options={MODES.map((value) => ({ value, label: t.modes[value], hint: t.modeHints[value] }))}
      />
      <p class="soft">{t.modeWarn}</p>
      <Button
        kind="second"
        label={t.change}
        busy={doing.busy}
        disabled={!session || mode === value.mode}
        onTap={() => setAsking(true)}
      />
      {asking && (
        <Dialog title={t.modeTitle} confirm={t.modeYes} danger onConfirm={confirm} onClose={() => setAsking(false)}>
          <p>{t.modeWarn}</p>
        </Dialog>
      )}
    </Section>
  );
}

function Hosts({ asked, value }: Part) {
  const doing = useDoing();
  const set = (hosts: string[]) =>
    doing.run(async (session) => {
      const now = await session.request("addressing", { hosts });
      asked.put({ ...value, ...now });
      return t.hostsNow(now.hosts.join(", "));
    });
  return (
    <Section title={t.hosts}>
      <p class="soft">{t.hostsLead}</p>
      <Outcome doing={doing} />
      <Words
        label={t.hosts}
        words={value.hosts}
        none={t.hostsNone}
        field={t.host}
        trouble={(word) => hostTrouble(word, value.hosts)}
        onAdd={(word) => set([...value.hosts, word])}
        onTake={(word) => set(value.hosts.filter((one) => one !== word))}
        busy={doing.busy}
      />
    </Section>
  );
}

const ETHERNETS: readonly Ethernet[] = ["segment", "uplink"];

function OnCable({ asked, value }: Part) {
  const { session } = useLive();
  const doing = useDoing();
  const { ethernet, now } = value.ethernet;
  const [wanted, setWanted] = useState<Ethernet | null>(ethernet);
  const change = () =>
    doing.run(async (session) => {
      asked.put({ ...value, ethernet: await session.request("ethernet", { ethernet: wanted! }) });
    });
  return (
    <Section title={t.ethernet}>
      <p class="soft">{t.ethernetLead}</p>
      <Outcome doing={doing} />
      <Choice
        label={t.ethernetLabel}
        value={wanted}
        onChoose={setWanted}
        options={ETHERNETS.map((value) => ({ value, label: t.ethernets[value], hint: t.ethernetHints[value] }))}
      />
      <p role="status">{ethernet === now ? t.ethernetSame : t.ethernetNext}</p>
      <Button
        kind="second"
        label={t.change}
        busy={doing.busy}
        disabled={!session || wanted === ethernet}
        onTap={change}
      />
    </Section>
  );
}

function Reboot() {
  const { session, keep } = useLive();
  const doing = useDoing();
  const [asking, setAsking] = useState(false);
  const confirm = async () => {
    setAsking(false);
    await doing.run(async (session) => {
      await session.request("reboot", {});
      keep({ inUntil: 0 });
      return t.rebootDone;
    });
  };
  return (
    <Section title={t.reboot}>
      <p class="soft">{t.rebootLead}</p>
      <Outcome doing={doing} />
      <Button
        kind="second"
        icon="refresh"
        label={t.rebootButton}
        busy={doing.busy}
        disabled={!session}
        onTap={() => setAsking(true)}
      />
      {asking && (
        <Dialog title={t.rebootTitle} confirm={t.rebootYes} danger onConfirm={confirm} onClose={() => setAsking(false)}>
          <p>{t.rebootLead}</p>
        </Dialog>
      )}
    </Section>
  );
}

function Reset() {
  const live = useLive();
  const doing = useDoing();
  const [asking, setAsking] = useState(false);
  const confirm = async () => {
    setAsking(false);
    await doing.run(async (session) => {
      await session.request("reset", { bridge: session.bridge });
      await live.gone("reset");
    });
  };
  return (
    <Section title={t.reset}>
      <p class="soft">{t.resetLead}</p>
      <Outcome doing={doing} />
      <Button
        kind="danger"
        label={t.resetButton}
        busy={doing.busy}
        disabled={!live.session}
        onTap={() => setAsking(true)}
      />
      {asking && (
        <Dialog
          title={t.resetTitle}
          confirm={t.resetYes}
          danger
          typed={t.resetWord}
          onConfirm={confirm}
          onClose={() => setAsking(false)}
        >
          <p>{t.resetLead}</p>
        </Dialog>
      )}
    </Section>
  );
}
