import { useState } from "preact/hooks";
import { Button, CopyField, Dialog, Field, Form, Section } from "../parts/index.ts";
import { isSsid, isWifiKey } from "../protocol/limits.ts";
import type { Ops } from "../protocol/types.ts";
import { texts } from "../texts.ts";
import { Answer, Frame, Outcome } from "./frame.tsx";
import { useAsked, useDoing, useLive } from "./live.tsx";

const t = texts.everyday;

/** Name and key of the bridge's own Wi-Fi. */
export function SpeakerWifi() {
  const asked = useAsked((session) => session.request("segment", {}));
  return (
    <Frame title={t.speakerWifi} lead={t.speakerWifiLead}>
      <Answer asked={asked} />
      {asked.value && (
        <>
          <NameAndKey wifi={asked.value} />
          <Change key={`${asked.value.ssid} ${asked.value.key}`} wifi={asked.value} onChanged={asked.put} />
        </>
      )}
    </Frame>
  );
}

type Wifi = Ops["segment"]["answer"];

export function NameAndKey({ wifi }: { wifi: Wifi }) {
  return (
    <>
      <CopyField label={t.wifiName} value={wifi.ssid} />
      <CopyField label={t.wifiKey} value={wifi.key} />
      <p>{Object.hasOwn(t.segment, wifi.state) ? t.segment[wifi.state] : t.unknownState(wifi.state)}</p>
    </>
  );
}

function Change({ wifi, onChanged }: { wifi: Wifi; onChanged: (wifi: Wifi) => void }) {
  const { session } = useLive();
  const [ssid, setSsid] = useState(wifi.ssid);
  const [key, setKey] = useState("");
  const [asking, setAsking] = useState(false);
  const [tried, setTried] = useState(false);
  const doing = useDoing();
  const ssidWrong = isSsid(ssid) ? undefined : t.ssidWrong;
  const keyWrong = key === "" || isWifiKey(key) ? undefined : t.keyWrong;
  const another = ssid !== wifi.ssid || (key !== "" && key !== wifi.key);
  const send = () => {
    setTried(true);
    if (!ssidWrong && !keyWrong && another) setAsking(true);
  };
  const confirm = async () => {
    setAsking(false);
    await doing.run(async (session) => {
      onChanged(await session.request("segment", { ssid, ...(key && { key }) }));
      return t.changed;
    });
  };
  return (
    <Section title={t.changeWifi}>
      <p class="soft">{t.changeWifiWarn}</p>
      <Outcome doing={doing} />
      <Form onSend={send}>
        <Field label={t.newName} value={ssid} onInput={setSsid} error={tried ? ssidWrong : undefined} />
        <Field
          label={t.newKey}
          value={key}
          onInput={setKey}
          password
          autocomplete="new-password"
          hint={t.newKeyHint}
          error={tried ? keyWrong : undefined}
        />
        <Button type="submit" kind="second" label={t.change} busy={doing.busy} disabled={!session || !another} />
      </Form>
      {asking && (
        <Dialog title={t.changeTitle} confirm={t.changeYes} danger onConfirm={confirm} onClose={() => setAsking(false)}>
          <p>{t.changeWifiWarn}</p>
        </Dialog>
      )}
    </Section>
  );
}
