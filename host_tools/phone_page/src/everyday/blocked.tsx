import { More, Section } from "../parts/index.ts";
import { Refused, type Session } from "../protocol/types.ts";
import { texts } from "../texts.ts";
import { bars, GROUPS, type Hour, hours, totals } from "./chart.ts";
import { Answer, Frame } from "./frame.tsx";
import { LOOK_S, useAsked } from "./live.tsx";
import { clock } from "./words.ts";

const t = texts.everyday;

const WIDTH = 312;
const HEIGHT = 120;

type Lately = { all: Hour[]; counters: [string, number][]; asked: number };

async function lately(session: Session): Promise<Lately> {
  const asked = Date.now();
  const all = hours(await session.request("blocked", {}), asked);
  const { counters } = await session.pages("counters", {});
  const dropped = Object.entries(counters).filter(([name]) => name.startsWith("drop_"));
  return { all, counters: dropped.sort((one, other) => other[1] - one[1]), asked };
}

/** What the bridge kept away from the speaker, by hour and why. */
export function Blocked() {
  const asked = useAsked(lately, LOOK_S);
  const value = asked.value;
  const isOld = asked.error instanceof Refused && asked.error.word === "not-allowed";
  return (
    <Frame title={t.blocked} lead={t.blockedLead}>
      {isOld ? <p>{t.blockedOld}</p> : <Answer asked={asked} />}
      {value && (
        <>
          <Groups all={value.all} />
          <Chart all={value.all} now={value.asked} />
          <More title={t.blockedTable}>
            <Table all={value.all} now={value.asked} />
          </More>
          <More title={t.blockedDetails}>
            <p class="soft small">{t.blockedDetailsLead}</p>
            {value.counters.length === 0 && <p>{t.blockedNothing}</p>}
            <ul class="counts">
              {value.counters.map(([name, count]) => (
                <li key={name}>
                  <span>{inWords(name)}</span> <b>{t.count(count, false)}</b>
                </li>
              ))}
            </ul>
          </More>
        </>
      )}
    </Frame>
  );
}

const inWords = (name: string) => (Object.hasOwn(t.reasons, name) ? t.reasons[name]! : name.replaceAll("_", " "));
const groupOf = (name: string) =>
  Object.hasOwn(t.groups, name) ? t.groups[name]! : { name: name.replaceAll("_", " "), why: "" };
/** Its colour in the style sheet; a group that this page does not know has the last one's. */
const colour = (name: string) => `group-${Math.max(0, (GROUPS as readonly string[]).indexOf(name))}`;

function Groups({ all }: { all: Hour[] }) {
  const some = totals(all).filter(({ count }) => count > 0);
  if (some.length === 0) return <p role="status">{t.blockedNothing}</p>;
  return (
    <Section title={t.blockedWho}>
      <ul class="legend">
        {some.map(({ group, count, full }) => (
          <li key={group}>
            <svg class={colour(group)} viewBox="0 0 14 14" aria-hidden="true" focusable="false">
              <rect width="14" height="14" rx="3" />
            </svg>
            <div>
              <p class="legend-head">
                <span>{groupOf(group).name}</span> <b>{t.count(count, full)}</b>
              </p>
              <p class="soft small">{groupOf(group).why}</p>
            </div>
          </li>
        ))}
      </ul>
    </Section>
  );
}

/** For the eye; the table says the same, and is what a screen reader gets. */
function Chart({ all, now }: { all: Hour[]; now: number }) {
  if (all.length === 0) return null;
  const most = all.reduce((one, other) => (other.sum > one.sum ? other : one));
  const first = all[0]!;
  return (
    <figure class="chart">
      <svg
        viewBox={`0 0 ${WIDTH} ${HEIGHT + 1}`}
        role="img"
        aria-label={t.chartSays(all.length, t.count(most.sum, most.full), clock(most.from, now))}
      >
        <path class="chart-line" d={`M0 ${HEIGHT + 0.5}H${WIDTH}`} />
        {bars(all, WIDTH, HEIGHT).map((bar) => (
          <g key={bar.x}>
            {bar.parts.map((part) => (
              <rect
                key={part.group}
                class={colour(part.group)}
                x={bar.x + 1.5}
                y={part.y}
                width={WIDTH / 24 - 3}
                height={part.height}
              />
            ))}
          </g>
        ))}
      </svg>
      <figcaption class="soft small">
        <span>{all.length === 24 ? clock(first.from, now) : ""}</span>
        <span>{most.sum > 0 && t.chartMost(t.count(most.sum, most.full))}</span>
        <span>{t.chartNow}</span>
      </figcaption>
    </figure>
  );
}

function Table({ all, now }: { all: Hour[]; now: number }) {
  const groups = totals(all).filter(({ count }) => count > 0);
  return (
    // Wider than a phone where there is much to tell: it scrolls by itself, by the keyboard, too.
    <div class="table" role="region" aria-label={t.blockedTable} tabIndex={0}>
      <table>
        <thead>
          <tr>
            <th scope="col">{t.tableHour}</th>
            {groups.map(({ group }) => (
              <th key={group} scope="col">
                {groupOf(group).name}
              </th>
            ))}
            <th scope="col">{t.tableSum}</th>
          </tr>
        </thead>
        <tbody>
          {all.toReversed().map((hour) => (
            <tr key={hour.from}>
              <th scope="row">{clock(hour.from, now)}</th>
              {groups.map(({ group }) => {
                const one = hour.counts.find((counted) => counted.group === group)!;
                return <td key={group}>{t.count(one.count, one.full)}</td>;
              })}
              <td>{t.count(hour.sum, hour.full)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
