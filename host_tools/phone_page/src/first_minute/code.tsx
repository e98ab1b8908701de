import { useRef, useState } from "preact/hooks";
import { Button, Field, Form, Icon, Notice, Screen, TroubleNotice } from "../parts/index.ts";
import { CodeError } from "../protocol/codes.ts";
import { type Found, read } from "../protocol/links.ts";
import { texts } from "../texts.ts";
import { codeTrouble } from "./words.ts";

const t = texts.firstMinute;

/** What has been typed so far. */
function look(text: string): { found: Found | null; error: unknown } {
  try {
    return { found: read(text), error: null };
  } catch (error) {
    return { found: null, error };
  }
}

/** The label's code, or an invite, is typed or pasted; checked while it is. */
export function Code(props: {
  text: string;
  onText: (text: string) => void;
  badLink: boolean;
  /** Why what a link brought could not be used. */
  failed: unknown;
  step: { n: number; of: number; name: string };
  onBack: () => void;
  /** May take its time, and the bytes. */
  onFound: (found: Found) => unknown;
}) {
  const { text } = props;
  const [asked, setAsked] = useState(false);
  const { found, error } = look(text);
  const sending = useRef(false);
  const [failed, setFailed] = useState(props.failed);
  const send = async () => {
    setAsked(true);
    if (!found || sending.current) return;
    sending.current = true;
    setFailed(null);
    try {
      // Each its own: whoever makes a credential of the bytes takes them.
      await props.onFound(read(text));
    } catch (reason) {
      sending.current = false;
      setFailed(reason);
    }
  };
  // Too few signs are no mistake before the person says that it is all.
  const early = error instanceof CodeError && error.reason === "length" && error.given < error.expected && !asked;
  const hint = early && error.given > 0 ? t.codeSoFar(error.given, error.expected) : t.codeHint;
  return (
    <Screen title={t.codeTitle} lead={t.codeLead} back={props.onBack} step={props.step} picture={<Icon name="key" />}>
      {props.badLink && !text && (
        <Notice kind="trouble" title={texts.welcome.badLink}>
          {texts.welcome.badLinkNext}
        </Notice>
      )}
      <Form onSend={send}>
        <Field
          label={t.code}
          value={text}
          onInput={(value) => {
            props.onText(value);
            setAsked(false);
          }}
          code
          hint={hint}
          error={error && !early && (text || asked) ? codeTrouble(error) : undefined}
          good={found ? (found.kind === "code" ? t.codeWhole : t.inviteWhole) : undefined}
        />
        {failed !== null && <TroubleNotice error={failed} />}
        <div class="actions">
          <Button type="submit" label={t.next} />
        </div>
      </Form>
    </Screen>
  );
}
