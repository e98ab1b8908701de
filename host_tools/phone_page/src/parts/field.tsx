import type { ComponentChildren } from "preact";
import { useId, useState } from "preact/hooks";
import { texts } from "../texts.ts";
import { Icon } from "./icons.tsx";

const WRONG = '[aria-invalid="true"], .choice:has(.field-error) input';
/** ms for a screen to be drawn. */
const MARKED = 50;

/** Fields and the button that sends them: Enter does, too. Nothing is ever sent by the browser itself. */
export function Form({ onSend, children }: { onSend: () => unknown; children: ComponentChildren }) {
  return (
    <form
      class="form"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        const form = event.currentTarget;
        void onSend();
        setTimeout(() => showWrong(form), MARKED);
      }}
    >
      {children}
    </form>
  );
}

/** What is wrong may be out of sight, or folded away: it gets the focus, once it is marked. */
function showWrong(form: HTMLFormElement): void {
  const wrong = form.querySelector<HTMLElement>(WRONG);
  const folded = wrong?.closest("details");
  if (folded) folded.open = true;
  wrong?.focus();
}

/** One line of text, or a code. A password is hidden until the person asks to see it. */
export function Field(props: {
  label: string;
  value: string;
  onInput: (value: string) => void;
  hint?: ComponentChildren;
  /** What is wrong with it, and what to do. */
  error?: string | undefined;
  /** Good news about it, in the hint's place: what is typed is whole. */
  good?: string | undefined;
  password?: boolean;
  /** A code: wide letters, capitals; as many lines as it needs, where the screen is narrow. */
  code?: boolean;
  autocomplete?: string;
  inputMode?: "email" | "url";
  maxLength?: number;
}) {
  const [shown, setShown] = useState(false);
  const id = useId();
  const tells = props.error || props.good || props.hint;
  const common = {
    id,
    value: props.value,
    "aria-invalid": props.error ? true : undefined,
    "aria-describedby": tells ? `${id}-tells` : undefined,
    autocomplete: props.autocomplete ?? "off",
    // As an attribute: Preact would set the property, which is a boolean.
    ref: (field: Element | null) => field?.setAttribute("autocorrect", "off"),
    spellcheck: false,
    maxLength: props.maxLength,
  };
  return (
    <div class={`field ${props.error ? "wrong" : ""}`}>
      <label for={id}>{props.label}</label>
      <div class="field-box">
        {props.code ? (
          <textarea
            {...common}
            class="code"
            rows={2}
            autocapitalize="characters"
            enterkeyhint="go"
            // Breaks would be no signs of a code: they are pasted as blanks, and Enter sends, as in a field of one line.
            onInput={(event) => props.onInput(event.currentTarget.value.replace(/[\r\n]+/g, " "))}
            onBeforeInput={(event: InputEvent) => {
              if (event.inputType !== "insertLineBreak") return;
              event.preventDefault();
              (event.currentTarget as HTMLTextAreaElement).form?.requestSubmit();
            }}
          />
        ) : (
          <input
            {...common}
            // Preact's types know one type or the other, not either.
            type={(props.password && !shown ? "password" : "text") as "text"}
            autocapitalize="none"
            onInput={(event) => props.onInput(event.currentTarget.value)}
            inputMode={props.inputMode}
          />
        )}
        {props.password && (
          <button
            type="button"
            class="field-button"
            aria-pressed={shown}
            aria-label={texts.parts.show(props.label)}
            onClick={() => setShown(!shown)}
          >
            <Icon name={shown ? "hide" : "show"} />
          </button>
        )}
      </div>
      <p
        id={`${id}-tells`}
        class={props.error ? "field-error" : props.good ? "field-good" : "field-hint"}
        aria-live="polite"
      >
        {tells}
      </p>
    </div>
  );
}

export type Option<Value extends string> = { value: Value; label: string; hint?: string };

/** One of a few. */
export function Choice<Value extends string>(props: {
  label: string;
  options: readonly Option<Value>[];
  value: Value | null;
  onChoose: (value: Value) => void;
  error?: string | undefined;
}) {
  const name = useId();
  return (
    <fieldset class="choice" aria-describedby={props.error ? `${name}-tells` : undefined}>
      <legend>{props.label}</legend>
      {props.options.map((option) => (
        <label key={option.value} class="option">
          <input
            type="radio"
            name={name}
            value={option.value}
            checked={props.value === option.value}
            onChange={() => props.onChoose(option.value)}
          />
          <span>
            <span class="option-label">{option.label}</span>
            {option.hint && <span class="option-hint">{option.hint}</span>}
          </span>
        </label>
      ))}
      {props.error && (
        <p id={`${name}-tells`} class="field-error" role="alert">
          {props.error}
        </p>
      )}
    </fieldset>
  );
}

/** Yes or no. */
export function Check(props: { label: string; hint?: string; on: boolean; onChange: (on: boolean) => void }) {
  return (
    <label class="option">
      <input type="checkbox" checked={props.on} onChange={(event) => props.onChange(event.currentTarget.checked)} />
      <span>
        <span class="option-label">{props.label}</span>
        {props.hint && <span class="option-hint">{props.hint}</span>}
      </span>
    </label>
  );
}
