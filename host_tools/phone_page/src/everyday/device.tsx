import { useState } from "preact/hooks";
import { Button, CopyField, Notice, QrCode } from "../parts/index.ts";
import { texts } from "../texts.ts";
import { Frame, Outcome } from "./frame.tsx";
import { useDoing, useLive, useNow } from "./live.tsx";

const t = texts.everyday;

/** s for which a token is good (SPEC 1). */
const TOKEN_S = 60;

/** A link for another device of the same person's. */
export function Device() {
  const { session } = useLive();
  const [link, setLink] = useState<{ url: string; until: number } | null>(null);
  const doing = useDoing();
  const now = useNow();
  const left = link ? Math.min(TOKEN_S, Math.ceil((link.until - now) / 1000)) : 0;
  const make = () =>
    doing.run(async (session) => {
      const asked = Date.now();
      const { url } = await session.request("token", {});
      setLink({ url, until: asked + 1000 * TOKEN_S });
    });
  return (
    <Frame title={t.device} lead={t.deviceLead}>
      <Notice kind="info">{t.deviceWarn}</Notice>
      <Outcome doing={doing} />
      {link && left > 0 && (
        <>
          <p role="status">{t.deviceScan}</p>
          <QrCode text={link.url} label={t.deviceQr} />
          <CopyField label={t.deviceLink} value={link.url} />
          <p class="soft">{t.secondsLeft(left)}</p>
        </>
      )}
      {link && left <= 0 && <p role="status">{t.deviceOld}</p>}
      <Button
        kind={link && left > 0 ? "second" : "main"}
        label={link ? t.deviceMakeAgain : t.deviceMake}
        onTap={make}
        busy={doing.busy}
        disabled={!session}
      />
    </Frame>
  );
}
