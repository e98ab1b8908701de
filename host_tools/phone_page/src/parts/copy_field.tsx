import { useEffect, useId, useRef, useState } from "preact/hooks";
import { texts } from "../texts.ts";
import { Icon } from "./icons.tsx";

/** ms for which it says "Copied". */
const SAID = 2500;

/** A value to be taken elsewhere: a Wi-Fi's name or key, a link. */
export function CopyField({ label, value }: { label: string; value: string }) {
  const [said, setSaid] = useState("");
  const place = useRef<HTMLElement>(null);
  const id = useId();
  useEffect(() => {
    if (!said) return;
    const timer = setTimeout(() => setSaid(""), SAID);
    return () => clearTimeout(timer);
  }, [said]);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(value);
      setSaid(texts.parts.copied);
    } catch {
      // A browser that lets no page write there: marked, so that the person can copy it.
      if (place.current) getSelection()?.selectAllChildren(place.current);
      setSaid(texts.parts.marked);
    }
  };
  return (
    <div class="copy">
      <div class="copy-words">
        <span class="copy-label" id={id}>
          {label}
        </span>
        <code ref={place}>{value}</code>
      </div>
      <button
        type="button"
        class={`copy-button ${said ? "said" : ""}`}
        aria-label={texts.parts.copy(label)}
        onClick={copy}
      >
        <Icon name={said ? "check" : "copy"} />
        <span aria-hidden="true">{said || texts.parts.copyShort}</span>
      </button>
      <span class="unseen" role="status">
        {said}
      </span>
    </div>
  );
}
