import { Button } from "../parts/index.ts";
import type { Session } from "../protocol/types.ts";
import { texts } from "../texts.ts";
import { Answer, Frame } from "./frame.tsx";
import { useAsked, useLive } from "./live.tsx";
import { logLine } from "./words.ts";

const t = texts.everyday;

async function happened(session: Session) {
  const { phones } = await session.pages("phones", {});
  const names = new Map(phones.map((one) => [one.phone, one.name]));
  const { lines } = await session.pages("log", {});
  return lines.map((line) => logLine(line, names));
}

/** The bridge's event log. */
export function Log() {
  const { session } = useLive();
  const asked = useAsked(happened);
  return (
    <Frame title={t.log} lead={t.logLead}>
      <Answer asked={asked} />
      {asked.value?.length === 0 && <p>{t.logEmpty}</p>}
      {asked.value && asked.value.length > 0 && (
        <ol class="log">
          {asked.value.map((line, k) => (
            <li key={k}>
              <span class="soft small">{line.at}</span> <span>{line.what}</span>
            </li>
          ))}
        </ol>
      )}
      <Button
        kind="second"
        icon="refresh"
        label={t.logAgain}
        busy={asked.busy && asked.value !== null}
        disabled={!session}
        onTap={asked.again}
      />
    </Frame>
  );
}
