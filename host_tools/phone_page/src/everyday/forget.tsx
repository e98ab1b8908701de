import { useState } from "preact/hooks";
import { Button, Dialog, Notice } from "../parts/index.ts";
import type { KnownBridge } from "../protocol/types.ts";
import { texts } from "../texts.ts";

const t = texts.everyday;

/** Asks before this phone's key is gone. `unproven`: only because a bridge, or what says that it is one, does not accept the key. */
export function ForgetDialog(props: {
  known: KnownBridge;
  unproven?: boolean;
  onForget: () => Promise<void>;
  onClose: () => void;
}) {
  const owner = props.known.role === "owner";
  return (
    <Dialog
      title={t.forgetHereTitle}
      confirm={t.forgetHereYes}
      danger
      onConfirm={async () => {
        await props.onForget();
        props.onClose();
      }}
      onClose={props.onClose}
    >
      <p>{props.unproven ? t.forgetUnproven(owner) : t.forgetHereWarn(owner)}</p>
    </Dialog>
  );
}

/** A bridge did not accept this phone's key: what it says is told as no more than its word. */
export function NotAccepted({ known, onForget }: { known: KnownBridge; onForget: () => Promise<void> }) {
  const [asking, setAsking] = useState(false);
  return (
    <>
      <Notice
        kind="trouble"
        title={t.noLongerPaired}
        action={<Button kind="second" label={t.forgetHere} onTap={() => setAsking(true)} />}
      >
        {t.noLongerPairedNext}
      </Notice>
      {asking && <ForgetDialog known={known} unproven onForget={onForget} onClose={() => setAsking(false)} />}
    </>
  );
}
