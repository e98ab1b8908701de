import type { ComponentChildren } from "preact";
import { Refused, Trouble, type TroubleKind } from "../protocol/types.ts";
import { StoreTrouble } from "../store.ts";
import { texts } from "../texts.ts";
import { Button } from "./button.tsx";
import { Icon, Spinner } from "./icons.tsx";

export type NoticeKind = "info" | "good" | "trouble";
const ICONS = { info: "info", good: "check", trouble: "alert" } as const;

/** Something to know. Trouble is read out at once, the rest when the person pauses. */
export function Notice(props: {
  kind: NoticeKind;
  title?: string;
  children?: ComponentChildren;
  action?: ComponentChildren;
}) {
  return (
    <div class={`notice ${props.kind}`} role={props.kind === "trouble" ? "alert" : "status"}>
      <Icon name={ICONS[props.kind]} />
      <div class="notice-words">
        {props.title && <p class="notice-title">{props.title}</p>}
        {props.children && <div>{props.children}</div>}
        {props.action && <div class="notice-action">{props.action}</div>}
      </div>
    </div>
  );
}

/** Work that takes a while. */
export function Waiting({ children }: { children: ComponentChildren }) {
  return (
    <p class="waiting" role="status">
      <Spinner />
      <span>{children}</span>
    </p>
  );
}

export type Words = { what: string; next: string };

/** What happened and what to do: of a Trouble, of what the bridge refused, or of anything else that was thrown. */
export function wordsOf(error: unknown): Words {
  if (error instanceof Trouble) return texts.trouble[error.kind];
  if (error instanceof StoreTrouble) return texts.store[error.kind];
  if (error instanceof Refused) {
    const own: Record<string, Words> = texts.refused;
    return Object.hasOwn(own, error.word) ? own[error.word]! : { what: error.say, next: "" };
  }
  return texts.unexpected;
}

/** Troubles that a new connection mends. */
const CONNECT: readonly TroubleKind[] = [
  "out-of-range",
  "broken",
  "timeout",
  "hung-up",
  "nobody-chosen",
  "bluetooth-off",
];

/** An error in words, with the button that does something about it. */
export function TroubleNotice(props: { error: unknown; onAgain?: (() => unknown) | undefined; label?: string }) {
  const words = wordsOf(props.error);
  const connect = props.error instanceof Trouble && CONNECT.includes(props.error.kind);
  return (
    <Notice
      kind="trouble"
      title={words.what}
      action={
        props.onAgain && (
          <Button
            kind="second"
            icon={connect ? "bluetooth" : "refresh"}
            label={props.label ?? (connect ? texts.parts.connectAgain : texts.parts.tryAgain)}
            onTap={props.onAgain}
          />
        )
      }
    >
      {words.next}
    </Notice>
  );
}
