import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { useBack } from "../back.ts";
import { texts } from "../texts.ts";
import { Button } from "./button.tsx";
import { Field } from "./field.tsx";
import { TroubleNotice } from "./notice.tsx";

/**
 * A question in front of the screen. It is there while it is rendered. Where `typed` is given, what is asked is done only once the person has
 * typed that word. `onConfirm` may take its time; what it throws is shown in the dialog, which stays.
 */
export function Dialog(props: {
  title: string;
  children?: ComponentChildren;
  confirm?: string;
  onConfirm?: () => unknown;
  onClose: () => void;
  danger?: boolean;
  typed?: string;
}) {
  const place = useRef<HTMLDialogElement>(null);
  const [word, setWord] = useState("");
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const working = useRef(false);
  const id = useId();
  useEffect(() => {
    const dialog = place.current;
    if (dialog && !dialog.open) dialog.showModal();
    // Not the button: who presses Enter twice has not read it.
    if (props.danger && props.typed === undefined) dialog?.querySelector("h2")?.focus();
    return () => dialog?.close();
  }, []);
  useBack(1, () => !working.current && props.onClose());
  const ready = props.typed === undefined || same(word, props.typed);
  const confirm = async () => {
    if (!ready || working.current) return;
    working.current = true;
    setError(null);
    setBusy(true);
    try {
      await props.onConfirm?.();
    } catch (reason) {
      setError(reason);
    } finally {
      working.current = false;
      setBusy(false);
    }
  };
  return (
    <dialog
      ref={place}
      class="dialog"
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        if (!busy) props.onClose();
      }}
    >
      <form
        class="form"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          void confirm();
        }}
      >
        <h2 id={id} tabIndex={-1}>
          {props.title}
        </h2>
        <div class="dialog-words">{props.children}</div>
        {props.typed !== undefined && (
          <Field label={texts.parts.typeToConfirm(props.typed)} value={word} onInput={setWord} />
        )}
        {error !== null && <TroubleNotice error={error} />}
        <div class="actions">
          {props.confirm && (
            <Button
              type="submit"
              kind={props.danger ? "danger" : "main"}
              label={props.confirm}
              busy={busy}
              disabled={!ready}
            />
          )}
          <Button
            kind="plain"
            label={props.confirm ? texts.parts.cancel : texts.parts.close}
            onTap={props.onClose}
            disabled={busy}
          />
        </div>
      </form>
    </dialog>
  );
}

const same = (one: string, other: string) => one.trim().toLowerCase() === other.trim().toLowerCase();
