import { useEffect, useRef, useState } from "preact/hooks";
import { useBack } from "../back.ts";
import {
  Bars,
  Button,
  Choice,
  CopyField,
  Field,
  Form,
  Icon,
  List,
  More,
  Notice,
  Row,
  Screen,
  TroubleNotice,
  Waiting,
} from "../parts/index.ts";
import { isLoginText, isSsid, isWifiKey } from "../protocol/limits.ts";
import { type Login, type Network, type Status, Trouble, type UplinkState } from "../protocol/types.ts";
import { texts } from "../texts.ts";
import { Attempt, JOIN_LIMIT, LOGIN_LIMIT } from "./attempt.ts";
import type { Reach } from "./contact.ts";
import { Lost, useLine, useLooks } from "./lost.tsx";
import { anonymous, barsOf, failureWords, signalOf } from "./words.ts";

const t = texts.firstMinute;

export type Step = { n: number; of: number; name: string };
type Kind = "psk" | "enterprise" | "open";
/** What a person has typed for a network; it stays when joining fails. */
type Typed = {
  ssid: string;
  hidden: boolean;
  kind: Kind;
  key: string;
  user: string;
  password: string;
  which: "named" | "any" | null;
  server: string;
  inner: Login["inner"];
  identity: string;
};
const EMPTY: Typed = {
  ssid: "",
  hidden: true,
  kind: "psk",
  key: "",
  user: "",
  password: "",
  which: null,
  server: "",
  inner: "mschapv2",
  identity: "",
};
type Stay = { ssid: string; onStay: () => void };
type Failure = UplinkState | "late";

/** From the list of networks to the bridge being on one. Wherever it is shown, `onUp` gets the status that says so. */
export function ChooseWifi(props: {
  contact: Reach;
  step?: Step | undefined;
  onUp: (status: Status) => unknown;
  onBack?: (() => void) | undefined;
  onLater?: (() => void) | undefined;
  /** The network that the bridge is on already, and to leave it at that. */
  stay?: Stay | null;
}) {
  const [networks, setNetworks] = useState<Network[] | null>(null);
  const [form, setForm] = useState<Typed | null>(null);
  const [joining, setJoining] = useState<Typed | null>(null);
  const [failure, setFailure] = useState<Failure | null>(null);
  const [error, setError] = useState<unknown>(null);

  // Whoever has gone back to the list while the bridge is reached joins nothing.
  const wanted = useRef(form !== null);
  wanted.current = form !== null;
  useEffect(
    () => () => {
      wanted.current = false;
    },
    [],
  );
  const join = async (given: Typed) => {
    setError(null);
    setFailure(null);
    try {
      const session = await props.contact.reach(true);
      if (!wanted.current) return;
      await session.request("join", requestOf(given));
      if (wanted.current) setJoining(given);
    } catch (reason) {
      setError(reason);
    }
  };
  const toForm = () => setJoining(null);
  const toList = () => {
    setJoining(null);
    setForm(null);
    setFailure(null);
    setError(null);
  };
  useBack(joining ? 2 : form ? 1 : 0, (depth) => (depth === 1 ? toForm() : toList()));
  if (joining) {
    return (
      <Joining
        {...props}
        form={joining}
        onFailed={(state) => {
          setFailure(state);
          toForm();
        }}
        onBack={toForm}
      />
    );
  }
  if (form) {
    return (
      <Join
        {...props}
        form={form}
        setForm={setForm}
        failure={failure}
        error={error}
        onJoin={() => join(form)}
        onBack={toList}
      />
    );
  }
  return <Networks {...props} networks={networks} setNetworks={setNetworks} onChoose={setForm} />;
}

function requestOf(form: Typed): { ssid: string; key: string; login?: Login } {
  if (form.kind !== "enterprise") return { ssid: form.ssid, key: form.kind === "psk" ? form.key : "" };
  const { user, password, inner } = form;
  const identity = form.identity || anonymous(user);
  return {
    ssid: form.ssid,
    key: "",
    login: { user, password, identity, server: form.which === "named" ? form.server.trim() : "", inner },
  };
}

function Networks(props: {
  contact: Reach;
  step?: Step | undefined;
  onBack?: (() => void) | undefined;
  onLater?: (() => void) | undefined;
  stay?: Stay | null;
  networks: Network[] | null;
  setNetworks: (networks: Network[]) => void;
  onChoose: (form: Typed) => void;
}) {
  const { networks } = props;
  const line = useLine(props.contact);
  const [error, setError] = useState<unknown>(null);
  const [looking, setLooking] = useState(false);
  const scan = async () => {
    setError(null);
    setLooking(true);
    try {
      const { networks } = await line.ask((session) => session.pages("scan", {}));
      props.setNetworks(networks.filter(({ ssid }) => ssid));
    } catch (reason) {
      // useLine tells of a connection that is gone.
      if (!(reason instanceof Trouble)) setError(reason);
    } finally {
      setLooking(false);
    }
  };
  const gone = line.lost !== null;
  useEffect(() => {
    if (networks === null && !gone) void scan();
  }, [gone]);
  return (
    <Screen title={t.wifiTitle} lead={t.wifiLead} step={props.step} back={props.onBack}>
      {props.stay && (
        <Notice
          kind="good"
          title={t.joined(props.stay.ssid)}
          action={<Button label={t.stay} onTap={props.stay.onStay} />}
        />
      )}
      <Lost line={line} />
      {error !== null && <TroubleNotice error={error} onAgain={scan} />}
      {networks === null && looking && <Waiting>{t.looking}</Waiting>}
      {networks?.length === 0 && (
        <Notice kind="info" title={t.noNetworks}>
          {t.noNetworksNext}
        </Notice>
      )}
      {networks !== null && networks.length > 0 && (
        <List label={t.networks}>
          {networks.map((network) => (
            <NetworkRow key={network.ssid} network={network} onChoose={props.onChoose} />
          ))}
        </List>
      )}
      {(networks !== null || error !== null) && (
        <>
          <List>
            <Row
              lead={<Icon name="plus" />}
              title={t.other}
              detail={t.otherDetail}
              onTap={() => props.onChoose(EMPTY)}
            />
          </List>
          <p class="soft small">{t.onlyNear}</p>
          <div class="actions">
            <Button
              kind="second"
              icon="refresh"
              label={t.lookAgain}
              busyLabel={t.looking}
              busy={looking}
              onTap={() => void scan()}
            />
            {props.onLater && <Button kind="plain" label={t.later} onTap={props.onLater} />}
          </div>
        </>
      )}
    </Screen>
  );
}

function NetworkRow({ network, onChoose }: { network: Network; onChoose: (form: Typed) => void }) {
  const { ssid, security } = network;
  const can = security !== "other";
  return (
    <Row
      lead={<Bars level={barsOf(network.rssi)} />}
      title={ssid}
      more={signalOf(network)}
      detail={t.security[security]}
      end={security === "psk" || security === "enterprise" ? <Icon name="lock" /> : undefined}
      {...(can && { onTap: () => onChoose({ ...EMPTY, ssid, hidden: false, kind: security }) })}
    />
  );
}

function Join(props: {
  contact: Reach;
  step?: Step | undefined;
  form: Typed;
  setForm: (form: Typed) => void;
  failure: Failure | null;
  error: unknown;
  onJoin: () => Promise<void>;
  onBack: () => void;
}) {
  const { form, failure } = props;
  const [asked, setAsked] = useState(false);
  const [busy, setBusy] = useState(false);
  const line = useLine(props.contact);
  const set = (change: Partial<Typed>) => props.setForm({ ...form, ...change });
  const wrong = whatIsWrong(form);
  const told = asked ? wrong : {};
  const send = async () => {
    setAsked(true);
    if (Object.keys(wrong).length > 0 || busy) return;
    setBusy(true);
    try {
      await props.onJoin();
    } finally {
      setBusy(false);
    }
  };
  return (
    <Screen
      title={form.hidden ? t.joinHiddenTitle : t.joinTitle(form.ssid)}
      step={props.step}
      back={props.onBack}
      lead={form.kind === "open" ? t.openHint : undefined}
    >
      {failure !== null && line.lost === null && (
        <Notice kind="trouble" title={failureWords(failure).what}>
          {failureWords(failure).next}
        </Notice>
      )}
      {line.lost !== null ? (
        <Lost line={line} />
      ) : (
        props.error !== null && !(props.error instanceof Trouble) && <TroubleNotice error={props.error} />
      )}
      <Form onSend={send}>
        {form.hidden && (
          <>
            <Field label={t.ssid} value={form.ssid} onInput={(ssid) => set({ ssid })} error={told.ssid} />
            <Choice
              label={t.kind}
              value={form.kind}
              onChoose={(kind) => set({ kind })}
              options={(["psk", "enterprise", "open"] as const).map((value) => ({ value, label: t.kinds[value] }))}
            />
          </>
        )}
        {form.kind === "psk" && (
          <Field
            label={t.key}
            value={form.key}
            onInput={(key) => set({ key })}
            error={told.key}
            password
            maxLength={63}
          />
        )}
        {form.kind === "enterprise" && <LoginFields form={form} set={set} told={told} />}
        <div class="actions">
          <Button type="submit" label={t.join} busy={busy} />
        </div>
      </Form>
      <Register line={line} />
    </Screen>
  );
}

type Wrong = { [name in keyof Typed]?: string };

function whatIsWrong(form: Typed): Wrong {
  const wrong: Wrong = {};
  if (!isSsid(form.ssid)) wrong.ssid = t.ssidWrong;
  if (form.kind === "psk" && !isWifiKey(form.key)) wrong.key = t.keyWrong;
  if (form.kind !== "enterprise") return wrong;
  for (const name of ["user", "password"] as const) if (!isLoginText(form[name])) wrong[name] = t.loginWrong;
  if (form.which === null) wrong.which = t.whichServerWrong;
  if (form.which === "named" && !isLoginText(form.server.trim())) wrong.server = t.loginWrong;
  if (form.inner === "pap" && form.which !== "named") wrong.inner = t.papNeedsServer;
  if (form.identity && !isLoginText(form.identity)) wrong.identity = t.loginWrong;
  return wrong;
}

function LoginFields({ form, set, told }: { form: Typed; set: (change: Partial<Typed>) => void; told: Wrong }) {
  return (
    <>
      <Field
        label={t.user}
        value={form.user}
        onInput={(user) => set({ user })}
        hint={t.userHint}
        error={told.user}
        inputMode="email"
      />
      <Field
        label={t.password}
        value={form.password}
        onInput={(password) => set({ password })}
        error={told.password}
        password
      />
      <Choice
        label={t.whichServer}
        value={form.which}
        onChoose={(which) => set({ which })}
        error={told.which}
        options={[
          { value: "named", label: t.serverNamed, hint: t.serverNamedHint },
          { value: "any", label: t.serverAny, hint: t.serverAnyHint },
        ]}
      />
      {form.which === "named" && (
        <Field
          label={t.server}
          value={form.server}
          onInput={(server) => set({ server })}
          hint={t.serverHint}
          error={told.server}
          inputMode="url"
        />
      )}
      <More title={t.more}>
        <Choice
          label={t.inner}
          value={form.inner}
          onChoose={(inner) => set({ inner })}
          error={told.inner}
          options={[
            { value: "mschapv2", label: t.innerMschap },
            { value: "pap", label: t.innerPap, hint: t.innerPapHint },
          ]}
        />
        <Field
          label={t.identity}
          value={form.identity}
          onInput={(identity) => set({ identity })}
          hint={t.identityHint}
          error={told.identity}
        />
      </More>
    </>
  );
}

/** Where devices have to be registered: the bridge's own address. */
function Register({ line }: { line: ReturnType<typeof useLine> }) {
  const [mac, setMac] = useState("");
  const look = async () => {
    if (mac || line.lost !== null) return;
    try {
      setMac((await line.ask((session) => session.pages("networks", {}))).mac ?? "");
    } catch {
      // The connection is gone: the screen says so.
    }
  };
  return (
    <More title={t.registerTitle} onOpen={look}>
      <p class="soft">{t.register}</p>
      {mac && <CopyField label={t.mac} value={mac} />}
    </More>
  );
}

function Joining(props: {
  contact: Reach;
  step?: Step | undefined;
  form: Typed;
  onUp: (status: Status) => unknown;
  onFailed: (state: Failure) => void;
  onBack: () => void;
}) {
  const { form } = props;
  const line = useLine(props.contact);
  const watch = useRef({ attempt: new Attempt(form.ssid), began: Date.now() });
  const limit = form.kind === "enterprise" ? LOGIN_LIMIT : JOIN_LIMIT;
  useLooks(props.contact, async (session) => {
    const status = await session.request("status", {});
    const age = Date.now() - watch.current.began;
    const state = watch.current.attempt.outcome(status.uplink, age);
    if (state === "up") await props.onUp(status);
    else if (state !== null) props.onFailed(state);
    else if (age > limit) props.onFailed("late");
    else return false;
    return true;
  });
  return (
    <Screen
      title={t.joiningTitle(form.ssid)}
      lead={t.joining}
      step={props.step}
      back={props.onBack}
      picture={<Bars level={4} />}
    >
      {line.lost === null ? <Waiting>{t.joiningPatience}</Waiting> : <Lost line={line} />}
    </Screen>
  );
}

/** The dorm's network is the socket in the wall. */
export function Cable(props: {
  contact: Reach;
  step?: Step | undefined;
  onUp: (status: Status) => unknown;
  onLater: () => void;
}) {
  const line = useLine(props.contact);
  useLooks(props.contact, async (session) => {
    const status = await session.request("status", {});
    if (status.uplink.state !== "up") return false;
    await props.onUp(status);
    return true;
  });
  return (
    <Screen
      title={t.cableTitle}
      lead={t.cableLead}
      step={props.step}
      picture={<Icon name="cable" />}
      actions={<Button kind="plain" label={t.later} onTap={props.onLater} />}
    >
      {line.lost === null ? <Waiting>{t.cableWaiting}</Waiting> : <Lost line={line} />}
      <Register line={line} />
    </Screen>
  );
}
