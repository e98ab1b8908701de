import { useEffect, useRef, useState } from "preact/hooks";
import { Icon, type IconName, Spinner } from "./icons.tsx";

export type ButtonKind = "main" | "second" | "plain" | "danger";

/**
 * A button. While what `onTap` began is under way (its promise), or `busy` says so, it shows that, and takes no second tap;
 * it keeps the focus. A promise that rejects is for whoever made it: catch it there.
 */
export function Button(props: {
  label: string;
  /** Said in place of the label while it is busy. */
  busyLabel?: string;
  onTap?: () => unknown;
  kind?: ButtonKind;
  icon?: IconName;
  busy?: boolean;
  disabled?: boolean;
  /** "submit": taps are the form's. */
  type?: "button" | "submit";
  /** For one whose label says too little by itself ("Copy"). */
  describedBy?: string;
}) {
  const [working, setWorking] = useState(false);
  const there = useRef(true);
  useEffect(() => {
    there.current = true;
    return () => {
      there.current = false;
    };
  }, []);
  const busy = working || props.busy === true;
  const tap = (event: Event) => {
    if (busy || props.disabled) {
      event.preventDefault();
      return;
    }
    const begun = props.onTap?.();
    if (!(begun instanceof Promise)) return;
    setWorking(true);
    void begun.finally(() => there.current && setWorking(false));
  };
  return (
    <button
      type={props.type ?? "button"}
      class={`button ${props.kind ?? "main"}`}
      aria-busy={busy}
      aria-disabled={busy || props.disabled === true}
      aria-describedby={props.describedBy}
      onClick={tap}
    >
      {busy ? <Spinner /> : props.icon && <Icon name={props.icon} />}
      <span>{busy ? (props.busyLabel ?? props.label) : props.label}</span>
    </button>
  );
}

/** A link that looks like a button. */
export function LinkButton(props: { label: string; href: string; kind?: ButtonKind; icon?: IconName }) {
  return (
    <a class={`button ${props.kind ?? "main"}`} href={props.href}>
      {props.icon && <Icon name={props.icon} />}
      <span>{props.label}</span>
    </a>
  );
}
