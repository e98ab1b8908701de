import { encode } from "uqr";
import { Button, CopyField, Notice, Screen } from "../parts/index.ts";
import { isLocal, linkTo } from "../protocol/links.ts";
import { texts } from "../texts.ts";
import { hasBluetooth } from "../welcome.tsx";
import type { Told } from "./console.ts";

/** Modules around the code that stay light (ISO/IEC 18004). */
const QUIET = 4;

/** What the label's QR code says: a link that opens this page with the code, where a phone can reach the page. */
export function linkOf(page: string, code: string): string {
  const { protocol, hostname } = new URL(page);
  return protocol !== "https:" || isLocal(hostname) ? `speakeasy:#code=${code}` : linkTo(page, "code", code);
}

/** What came of it. `told.code` is a secret: it is shown to whoever holds the board. */
export function LabelScreen(props: {
  told: Told;
  flashed: boolean;
  onPair: (code: string) => void;
  onAnother: () => void;
}) {
  const { told } = props;
  const owned = told.owners !== null && told.owners > 0;
  // A computer without Bluetooth shows the label alone: a phone scans it.
  const pairs = !owned && hasBluetooth();
  return (
    <Screen
      title={props.flashed ? texts.flash.doneTitle : texts.flash.toldTitle}
      lead={props.flashed ? texts.flash.written : texts.flash.restarted}
      actions={
        <>
          {pairs && <Button label={texts.flash.pair} icon="bluetooth" onTap={() => props.onPair(told.code)} />}
          <Button kind="second" label={texts.flash.print} onTap={() => print()} />
          <Button kind="plain" label={texts.flash.another} onTap={props.onAnother} />
        </>
      }
    >
      <Notice kind={owned ? "info" : "good"}>
        {owned ? texts.flash.hasOwner(told.phones ?? 0) : texts.flash.firstOwner}
      </Notice>
      <Label told={told} link={linkOf(document.baseURI, told.code)} />
      <CopyField label={texts.flash.code} value={told.code} />
    </Screen>
  );
}

/** The drawing, 70 by 32 mm, as `make label` draws it (host_tools/speakeasy/board/label.py). */
export function Label({ told, link }: { told: Told; link: string }) {
  const qr = encode(link, { ecc: "M", border: QUIET });
  const path = qr.data.flatMap((row, y) => row.map((dark, x) => (dark ? `M${x} ${y}h1v1h-1z` : ""))).join("");
  const groups = told.code.split("-");
  const lines: [number, number, string][] = [
    [6, 4.2, texts.flash.labelName],
    [10.5, 2.5, texts.flash.labelBridge(told.bridge)],
    [16, 3.2, `${groups.slice(0, 3).join("-")}-`],
    [20.5, 3.2, groups.slice(3).join("-")],
    [25.5, 1.9, link.startsWith("https:") ? texts.flash.labelScan : texts.flash.labelType],
    [28.5, 1.9, texts.flash.labelKeep],
  ];
  return (
    <svg class="label" viewBox="0 0 70 32" role="img" aria-label={texts.flash.label(told.bridge)}>
      <rect width="70" height="32" fill="#fff" />
      <svg width="32" height="32" viewBox={`0 0 ${qr.size} ${qr.size}`} shape-rendering="crispEdges">
        <path d={path} fill="#000" />
      </svg>
      {lines.map(([y, size, line]) => (
        <text key={y} x="33" y={y} font-size={size} font-weight={size > 3 ? "bold" : "normal"} fill="#000">
          {line}
        </text>
      ))}
    </svg>
  );
}
