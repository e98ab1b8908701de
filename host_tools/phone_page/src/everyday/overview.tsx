import { useEffect, useState } from "preact/hooks";
import { Button, Facts, Icon, List, Notice, Row, Section } from "../parts/index.ts";
import { Refused, type Session, type Status } from "../protocol/types.ts";
import { texts } from "../texts.ts";
import type { Outcome } from "../visit.ts";
import { Answer, Frame, OwnMac, Visited } from "./frame.tsx";
import { LOOK_S, useAsked, useLive, useNow } from "./live.tsx";
import {
  bluetoothSentence,
  clock,
  kept,
  shortId,
  speakerSentence,
  standing,
  uplinkSentences,
  whoIsIn,
} from "./words.ts";

const t = texts.everyday;

type Overall = { status: Status; names: Map<string, string>; mac: string | undefined; asked: number };

/** A guest may not know the others' names, nor the networks. */
async function overall(session: Session, own: string): Promise<Overall> {
  const asked = Date.now();
  const status = await session.pages("status", {});
  const names = new Map([[own, session.name]]);
  let mac: string | undefined;
  if (session.role === "owner") {
    for (const one of (await session.pages("phones", {})).phones) names.set(one.phone, one.name);
    mac = (await unlessRefused(session.pages("networks", {})))?.mac;
  }
  return { status, names, mac, asked };
}

async function unlessRefused<T>(answer: Promise<T>): Promise<T | null> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof Refused) return null;
    throw error;
  }
}

export function Overview() {
  const live = useLive();
  const { known, role } = live;
  const now = useNow(15);
  const asked = useAsked((session) => overall(session, known.phone), LOOK_S);
  const [visited, setVisited] = useState<Outcome | null>(null);
  const all = asked.value;
  useEffect(() => {
    if (all) live.keep({ ...kept(known, all.status, all.asked), ...(live.session && { name: live.session.name }) });
  }, [all]);
  const mine = standing(known.inUntil, now);
  return (
    <Frame
      title={t.overview}
      lead={`${t.bridgeId(shortId(known.bridge))} · ${t.roles[role]}`}
      home
      actions={<Button kind="plain" label={live.session ? t.disconnect : t.close} onTap={live.disconnect} />}
    >
      <Answer asked={asked} />
      {all?.status.damaged && <Notice kind="trouble">{t.damaged}</Notice>}
      {all && (
        <>
          <Section title={t.you}>
            <div class={`standing ${mine.state}`}>
              <Icon name={mine.state === "in" ? "check" : "lock"} />
              <p class="standing-words">{mine.state === "in" ? t.inUntil(mine.clock) : t.notIn}</p>
            </div>
            {all.status.uplink.state === "up" && (
              <>
                <Button
                  kind={mine.state === "in" ? "second" : "main"}
                  label={mine.state === "in" ? t.letMeInAgain : t.letMeIn}
                  busyLabel={t.going}
                  onTap={async () => setVisited(await live.doors.visit(known, "claim"))}
                />
                <p class="soft small">{mine.state === "in" ? t.letMeInAgainHint : t.notInNext}</p>
              </>
            )}
            {visited && <Visited outcome={visited} />}
          </Section>
          {!isWell(all.status) && <Sides all={all} />}
        </>
      )}
      <Menu speakersCable={all?.status.ethernet === "segment"} />
      {all && isWell(all.status) && <Sides all={all} />}
      {all && <WhoIsIn all={all} now={now} />}
      {all && <TheBridge all={all} />}
    </Frame>
  );
}

/** Then what one can do comes first. */
const isWell = ({ uplink, segment }: Status) => uplink.state === "up" && segment.speaker !== null;

function Sides({ all }: { all: Overall }) {
  const { role } = useLive();
  const { status } = all;
  const byCable = status.ethernet === "uplink";
  const speaker = speakerSentence(status, role);
  return (
    <>
      <Section title={byCable ? t.dormCable : t.dormWifi}>
        {uplinkSentences(status.uplink, role, byCable).map((one) => (
          <Said key={one.what} {...one} well={status.uplink.state === "up" && one.next === ""} />
        ))}
        {status.uplink.addr && <Facts facts={[[t.address, status.uplink.addr]]} />}
        <OwnMac mac={all.mac} />
      </Section>
      <Section title={t.speaker}>
        <Said what={speaker.what} next={speaker.next} well={speaker.there} />
      </Section>
    </>
  );
}

/** A sentence on how something is, and what to do about it. */
function Said({ what, next, well }: { what: string; next: string; well: boolean }) {
  return (
    <div class={`said ${well ? "well" : ""}`}>
      <Icon name={well ? "check" : "alert"} />
      <div>
        <p>{what}</p>
        {next && <p class="soft small">{next}</p>}
      </div>
    </div>
  );
}

function WhoIsIn({ all, now }: { all: Overall; now: number }) {
  const { known } = useLive();
  const guests = whoIsIn(all.status.leases, all.names, known.phone, all.asked);
  return (
    <Section title={t.meanwhile}>
      {guests.length === 0 && <p class="soft">{t.nobodyIn}</p>}
      {guests.length > 0 && (
        <List label={t.meanwhile}>
          {guests.map((one) => (
            <Row
              key={one.phone}
              lead={<Icon name="phone" />}
              title={one.name}
              detail={`${one.own ? t.thisPhone : ""}${t.until(clock(one.until, now))}. ${one.where}`}
            />
          ))}
        </List>
      )}
    </Section>
  );
}

/** `speakersCable`: the speaker is on a cable, so that there is no Wi-Fi for it. */
function Menu({ speakersCable }: { speakersCable: boolean }) {
  const { role, go } = useLive();
  const owner = role === "owner";
  return (
    <Section title={t.whatNow}>
      <List label={t.whatNow}>
        {owner && <Row lead={<Icon name="plus" />} title={t.invite} detail={t.inviteHint} onTap={() => go("invite")} />}
        <Row lead={<Icon name="phone" />} title={t.device} detail={t.deviceHint} onTap={() => go("device")} />
        {owner && (
          <Row lead={<Icon name="people" />} title={t.people} detail={t.peopleHint} onTap={() => go("people")} />
        )}
        <Row lead={<Icon name="shield" />} title={t.blocked} detail={t.blockedHint} onTap={() => go("blocked")} />
        {owner && (
          <>
            <Row
              lead={<Icon name="bridge" />}
              title={t.dormWifi}
              detail={t.dormWifiHint}
              onTap={() => go("dorm-wifi")}
            />
            {!speakersCable && (
              <>
                <Row
                  lead={<Icon name="key" />}
                  title={t.speakerWifi}
                  detail={t.speakerWifiHint}
                  onTap={() => go("speaker-wifi")}
                />
                <Row lead={<Icon name="speaker" />} title={t.setUp} detail={t.setUpHint} onTap={() => go("set-up")} />
              </>
            )}
            <Row lead={<Icon name="settings" />} title={t.experts} detail={t.expertsHint} onTap={() => go("experts")} />
          </>
        )}
        {!owner && <Row lead={<Icon name="people" />} title={t.leave} onTap={() => go("people")} />}
      </List>
    </Section>
  );
}

function TheBridge({ all }: { all: Overall }) {
  const { status } = all;
  return (
    <Section title={t.theBridge}>
      <Facts
        facts={[
          [t.firmware, status.version],
          [t.upFor, t.span(status.uptime_s)],
          [t.phonesPaired, String(status.phones)],
        ]}
      />
      <p>
        <span class="soft">{t.bluetooth}</span> {bluetoothSentence(status.ble)}
      </p>
    </Section>
  );
}
