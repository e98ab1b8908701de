import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import { texts } from "../texts.ts";
import { Icon } from "./icons.tsx";

/**
 * One thing to do. Its heading gets the focus when the screen appears (that is: when its title changes), so that a screen
 * reader reads it and the keyboard starts at the top.
 */
export function Screen(props: {
  title: string;
  /** A sentence or two below the heading. */
  lead?: ComponentChildren;
  back?: (() => void) | undefined;
  /** "Step n of m". */
  step?: { n: number; of: number; name?: string } | undefined;
  /** A picture above the heading. */
  picture?: ComponentChildren;
  /** Buttons at the end, the main one first. */
  actions?: ComponentChildren;
  children?: ComponentChildren;
}) {
  const heading = useRef<HTMLHeadingElement>(null);
  const id = useId();
  useEffect(() => {
    document.title = `${props.title} · ${texts.name}`;
    heading.current?.focus({ preventScroll: true });
    window.scrollTo(0, 0);
  }, [props.title]);
  return (
    <section class="screen" aria-labelledby={id}>
      {(props.back || props.step) && (
        <div class="screen-top">
          {props.back && (
            <button type="button" class="back" onClick={props.back}>
              <Icon name="back" />
              <span>{texts.parts.back}</span>
            </button>
          )}
          {props.step && <Steps {...props.step} />}
        </div>
      )}
      {props.picture && <div class="picture">{props.picture}</div>}
      <h1 id={id} ref={heading} tabIndex={-1}>
        {props.title}
      </h1>
      {props.lead && <p class="lead">{props.lead}</p>}
      {props.children}
      {props.actions && <div class="actions">{props.actions}</div>}
    </section>
  );
}

/** How far one is: words for everybody, a bar for the eye. */
export function Steps({ n, of, name }: { n: number; of: number; name?: string }) {
  return (
    <div class="steps">
      <p class="steps-words">{texts.parts.step(n, of, name)}</p>
      <div class="steps-bar" aria-hidden="true">
        {Array.from({ length: of }, (_, k) => (
          <span key={k} class={k < n ? "done" : ""} />
        ))}
      </div>
    </div>
  );
}

/** A part of a screen with a heading of its own. */
export function Section({ title, children }: { title: string; children: ComponentChildren }) {
  const id = useId();
  return (
    <section class="section" aria-labelledby={id}>
      <h2 id={id}>{title}</h2>
      {children}
    </section>
  );
}

/** What most people need not see. */
export function More(props: { title: string; children: ComponentChildren; onOpen?: () => unknown }) {
  const { title, children } = props;
  return (
    <details class="more" onToggle={(event) => event.currentTarget.open && void props.onOpen?.()}>
      <summary>
        <span>{title}</span>
        <Icon name="next" />
      </summary>
      <div class="more-inside">{children}</div>
    </details>
  );
}
