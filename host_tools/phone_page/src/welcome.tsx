import { Button, CopyField, Facts, Icon, Mark, Notice, Screen, Section } from "./parts/index.ts";
import { texts } from "./texts.ts";

const t = texts.welcome;

export const hasBluetooth = () => "bluetooth" in navigator;

/** Nothing is known yet: where to begin. */
export function Welcome(props: { onCode: () => void; onFlash: (() => void) | null }) {
  return (
    <Screen
      title={t.title}
      lead={t.lead}
      picture={<Mark />}
      actions={
        <>
          <Button icon="key" label={t.type} onTap={props.onCode} />
          {props.onFlash && <Button kind="plain" label={t.flash} onTap={props.onFlash} />}
        </>
      }
    >
      <Notice kind="info">{t.scan}</Notice>
    </Screen>
  );
}

/** A browser without Web Bluetooth: which ones have it. The address is this page's, without the code that it may have come with. */
export function NoBluetooth(props: { onBack: (() => void) | null; onFlash: (() => void) | null }) {
  return (
    <Screen
      title={t.noBluetooth}
      lead={t.noBluetoothLead}
      picture={<Icon name="bluetooth" />}
      back={props.onBack ?? undefined}
      actions={props.onFlash && <Button kind="plain" label={t.flash} onTap={props.onFlash} />}
    >
      <Section title={t.browsers}>
        <Facts facts={t.browserList} />
      </Section>
      <CopyField label={t.copyAddress} value={location.href.replace(/[?#].*$/s, "")} />
      <p class="soft">{t.computer}</p>
    </Screen>
  );
}
