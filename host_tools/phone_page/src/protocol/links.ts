/** What was typed, pasted, scanned, or stands in the page's own fragment: a setup code or an invite (SPEC 1). */
import { type Bytes, hex } from "./bytes.ts";
import { CodeError, LONGEST_TEXT, readInvite, readSetupCode, SETUP_CODE_BYTES, symbolsIn, symbolsOf } from "./codes.ts";
import { importSecret } from "./keys.ts";
import type { Credential } from "./types.ts";

/** Characters: the address of a page, and a code or an invite. */
export const LONGEST_LINK = 2048;

export type Found = { kind: "code"; secret: Bytes } | { kind: "invite"; id: Bytes; secret: Bytes };

/** `name=value` joined by `&`, values percent-encoded or not; of a name that comes twice the last one. */
function members(fragment: string): Map<string, string> {
  return new Map(
    fragment.split("&").map((part) => {
      const at = part.indexOf("=");
      const [name, value] = at < 0 ? [part, ""] : [part.slice(0, at), part.slice(at + 1)];
      try {
        return [name, decodeURIComponent(value)];
      } catch {
        return [name, value];
      }
    }),
  );
}

/** The same for a fragment alone, with or without its `#`: null when there is neither a code nor an invite in it. */
export function inFragment(fragment: string): Found | null {
  if (fragment.length > LONGEST_LINK) return null;
  const found = members(fragment.replace(/^#/, ""));
  const invite = found.get("invite");
  if (invite !== undefined) return { kind: "invite", ...readInvite(invite) };
  const code = found.get("code");
  return code === undefined ? null : { kind: "code", secret: readSetupCode(code) };
}

/** A link of any page or of the scheme `speakeasy:`, a setup code or an invite. Throws CodeError. */
export function read(text: string): Found {
  const at = text.indexOf("#");
  if (at >= 0 || /^\s*speakeasy:/i.test(text)) {
    const found = at < 0 ? null : inFragment(text.slice(at));
    if (!found) throw new CodeError("link", "code");
    return found;
  }
  // The two have different lengths: an invite is never mistaken for a setup code.
  const isInvite = symbolsIn(text.slice(0, LONGEST_TEXT)).length > symbolsOf(SETUP_CODE_BYTES) + 3;
  return isInvite ? { kind: "invite", ...readInvite(text) } : { kind: "code", secret: readSetupCode(text) };
}

/** The credential for it. The bytes are gone afterwards. */
export async function credentialOf(found: Found): Promise<Credential> {
  const secret = await importSecret(found.secret);
  return found.kind === "invite" ? { mode: "invite", id: hex(found.id), secret } : { mode: "setup-code", secret };
}

/** The link that opens the page at `page` (its own address) with a code or an invite in the fragment, which no browser sends anywhere. */
export function linkTo(page: string, what: "code" | "invite", text: string): string {
  return `${page.replace(/[?#].*$/s, "").replace(/\/index\.html$/, "/")}#${what}=${text}`;
}

/** Whether a page at that host is this machine's own: a link to it leads nobody else here. */
export const isLocal = (host: string) =>
  host === "localhost" || host.endsWith(".localhost") || /^127(\.\d+){3}$|^\[?::1\]?$/.test(host);
