import { useEffect, useRef, useState } from "preact/hooks";
import { Button, Choice, CopyField, QrCode, Section } from "../parts/index.ts";
import { isLocal, linkTo } from "../protocol/links.ts";
import { texts } from "../texts.ts";
import { Frame, Outcome } from "./frame.tsx";
import { useDoing, useLive, useNow } from "./live.tsx";
import { clock, type Role } from "./words.ts";

const t = texts.everyday;

/** s; the longest is the bridge's longest (SPEC 2.4). */
const SPANS = { short: 600, long: 3600 } as const;
type Span = keyof typeof SPANS;

type Made = { text: string; link: string; role: Role; until: number };

export function Invite() {
  const { session } = useLive();
  const [role, setRole] = useState<Role>("guest");
  const [span, setSpan] = useState<Span>("short");
  const [made, setMade] = useState<Made | null>(null);
  const making = useDoing();
  const voiding = useDoing();
  const now = useNow();
  const make = () => {
    voiding.clear();
    return making.run(async (session) => {
      const asked = Date.now();
      const answer = await session.request("invite", { role, expires_s: SPANS[span] });
      const link = linkTo(location.href, "invite", answer.invite);
      setMade({ text: answer.invite, link, role, until: asked + 1000 * answer.expires_s });
    });
  };
  const callBack = () => {
    making.clear();
    return voiding.run(async (session) => {
      await session.request("uninvite", {});
      setMade(null);
      return t.inviteVoided;
    });
  };
  return (
    <Frame title={t.invite} lead={t.inviteLead}>
      {made ? (
        <Ready made={made} now={now} />
      ) : (
        <>
          <Choice
            label={t.inviteAs}
            value={role}
            onChoose={setRole}
            options={[
              { value: "guest", label: t.inviteGuest, hint: t.inviteGuestHint },
              { value: "owner", label: t.inviteOwner, hint: t.inviteOwnerHint },
            ]}
          />
          <Choice
            label={t.inviteFor}
            value={span}
            onChoose={setSpan}
            options={[
              { value: "short", label: t.inviteShort },
              { value: "long", label: t.inviteLong },
            ]}
          />
        </>
      )}
      <Outcome doing={making} />
      {made ? (
        <Button kind="second" icon="plus" label={t.inviteAnother} onTap={() => setMade(null)} />
      ) : (
        <Button label={t.inviteMake} onTap={make} busy={making.busy} disabled={!session} />
      )}
      <Section title={t.inviteVoidTitle}>
        <p class="soft small">{t.inviteVoidHint}</p>
        <Outcome doing={voiding} />
        <Button kind="second" label={t.inviteVoid} onTap={callBack} busy={voiding.busy} disabled={!session} />
      </Section>
    </Frame>
  );
}

function Ready({ made, now }: { made: Made; now: number }) {
  const place = useRef<HTMLParagraphElement>(null);
  // The form is gone: the keyboard, and a screen reader, go on with what was made.
  useEffect(() => place.current?.focus(), [made]);
  if (now >= made.until) return <p role="status">{t.inviteOld}</p>;
  const local = isLocal(location.hostname);
  const share = () => navigator.share({ title: t.inviteShareTitle, url: made.link }).catch(() => {}); // closed again
  return (
    <>
      <p ref={place} tabIndex={-1}>
        {t.inviteGood(t.roles[made.role], clock(made.until, now))}
      </p>
      {local ? (
        <p>{t.inviteLocal}</p>
      ) : (
        <>
          <p>{t.inviteScan}</p>
          <QrCode text={made.link} label={t.inviteQr} />
          {"share" in navigator && <Button label={t.inviteShare} onTap={share} />}
          <CopyField label={t.inviteLink} value={made.link} />
          <p class="soft small">{t.inviteTextHint}</p>
        </>
      )}
      <CopyField label={t.inviteText} value={made.text} />
    </>
  );
}
