import type { ComponentChildren } from "preact";
import { Icon } from "./icons.tsx";

export function List({ label, children }: { label?: string; children: ComponentChildren }) {
  return (
    <ul class="list" aria-label={label}>
      {children}
    </ul>
  );
}

/** One line of a list: to be tapped as a whole where `onTap` or `href` is given. */
export function Row(props: {
  title: ComponentChildren;
  detail?: ComponentChildren;
  lead?: ComponentChildren;
  end?: ComponentChildren;
  /** Words for screen readers alone, after the title. */
  more?: string;
  onTap?: () => unknown;
  href?: string;
  danger?: boolean;
}) {
  const inside = (
    <>
      {props.lead && <span class="row-lead">{props.lead}</span>}
      <span class="row-words">
        <span class="row-title">
          {props.title}
          {props.more && <span class="unseen"> {props.more}</span>}
        </span>
        {props.detail && <span class="row-detail">{props.detail}</span>}
      </span>
      {props.end && <span class="row-end">{props.end}</span>}
      {(props.onTap || props.href) && <Icon name="next" />}
    </>
  );
  const look = `row ${props.danger ? "danger" : ""}`;
  return (
    <li>
      {props.onTap ? (
        <button type="button" class={look} onClick={() => void props.onTap?.()}>
          {inside}
        </button>
      ) : props.href ? (
        <a class={look} href={props.href}>
          {inside}
        </a>
      ) : (
        <div class={look}>{inside}</div>
      )}
    </li>
  );
}

/** Names and values. */
export function Facts({ facts }: { facts: readonly (readonly [string, ComponentChildren])[] }) {
  return (
    <dl class="facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
