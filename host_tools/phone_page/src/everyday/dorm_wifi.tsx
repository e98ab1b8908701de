import { useState } from "preact/hooks";
import { Button, Dialog, Icon, List } from "../parts/index.ts";
import type { Session } from "../protocol/types.ts";
import { texts } from "../texts.ts";
import { Answer, Frame, Outcome, OwnMac } from "./frame.tsx";
import { useAsked, useDoing, useLive } from "./live.tsx";

const t = texts.everyday;

async function remembered(session: Session) {
  const { networks, mac } = await session.pages("networks", {});
  const { uplink } = await session.pages("status", {});
  return { networks, mac, now: uplink.state === "up" ? uplink.ssid : "" };
}

/** The networks that the bridge remembers. */
export function DormWifi() {
  const { session, go } = useLive();
  const asked = useAsked(remembered);
  const doing = useDoing();
  const [forgetting, setForgetting] = useState<string | null>(null);
  const known = asked.value?.networks ?? [];
  const move = (from: number, to: number) =>
    doing.run(async (session) => {
      const order = known.map(({ ssid }) => ssid);
      const [moved] = order.splice(from, 1);
      order.splice(to, 0, moved!);
      await session.pages("networks", { order });
      await asked.again();
      return t.ordered;
    });
  const forget = async (ssid: string) => {
    setForgetting(null);
    await doing.run(async (session) => {
      await session.request("forget", { ssid });
      await asked.again();
      return t.forgotNetwork(ssid);
    });
  };
  return (
    <Frame title={t.dormWifi} lead={t.dormWifiLead}>
      <Answer asked={asked} />
      <Outcome doing={doing} />
      {asked.value && known.length === 0 && <p>{t.noNetworks}</p>}
      {known.length > 0 && (
        <List label={t.dormWifi}>
          {known.map((one, k) => {
            const more = [
              one.user ? t.wifiUser(one.user) : one.open ? t.wifiOpen : "",
              asked.value?.now === one.ssid ? t.wifiNow : "",
            ].filter(Boolean);
            return (
              <li key={one.ssid} class="row">
                <span class="row-words">
                  <span class="row-title">{one.ssid}</span>
                  <span class="row-detail">{more.join(", ")}</span>
                </span>
                <span class="row-end">
                  {known.length > 1 && (
                    <>
                      <IconButton
                        icon="up"
                        label={t.moveUp(one.ssid)}
                        off={k === 0 || !session || doing.busy}
                        onTap={() => move(k, k - 1)}
                      />
                      <IconButton
                        icon="down"
                        label={t.moveDown(one.ssid)}
                        off={k === known.length - 1 || !session || doing.busy}
                        onTap={() => move(k, k + 1)}
                      />
                    </>
                  )}
                  <IconButton
                    icon="trash"
                    label={t.forgetNetwork(one.ssid)}
                    off={!session || doing.busy}
                    onTap={() => setForgetting(one.ssid)}
                  />
                </span>
              </li>
            );
          })}
        </List>
      )}
      <Button icon="plus" label={t.joinAnother} onTap={() => go("join")} disabled={!session} />
      <OwnMac mac={asked.value?.mac} />
      {forgetting !== null && (
        <Dialog
          title={t.forgetNetworkTitle(forgetting)}
          confirm={t.forgetYes}
          danger
          onConfirm={() => forget(forgetting)}
          onClose={() => setForgetting(null)}
        >
          <p>{asked.value?.now === forgetting ? t.forgetNetworkNow : t.forgetNetworkWarn}</p>
        </Dialog>
      )}
    </Frame>
  );
}

/** A small button that is a picture; its words are for screen readers, and for who points at it. */
function IconButton(props: { icon: "up" | "down" | "trash"; label: string; off: boolean; onTap: () => unknown }) {
  return (
    <button
      type="button"
      class={`icon-button ${props.icon}`}
      aria-label={props.label}
      title={props.label}
      aria-disabled={props.off}
      onClick={() => {
        if (!props.off) void props.onTap();
      }}
    >
      <Icon name={props.icon === "trash" ? "trash" : "next"} />
    </button>
  );
}
