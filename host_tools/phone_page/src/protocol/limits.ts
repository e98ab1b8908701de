/** What the bridge takes of what a person types: the bounds of SPEC 2.4. */
const utf8 = (text: string) => new TextEncoder().encode(text).length;

export const isName = (text: string) => {
  const n = [...text].length;
  return n >= 1 && n <= 32;
};
export const isSsid = (text: string) => utf8(text) >= 1 && utf8(text) <= 32;
export const isWifiKey = (text: string) => /^[ -~]{8,63}$/.test(text);
/** Of a login: the user's name, the password, the server's name. */
export const isLoginText = (text: string) => utf8(text) >= 1 && utf8(text) <= 64;
/** A MAC as people type it, as the bridge wants it. */
export const tidyMac = (text: string) => text.trim().toLowerCase().replaceAll("-", ":");
/** A machine's, not a group's. */
export const isMac = (text: string) => /^[0-9a-f][02468ace](:[0-9a-f]{2}){5}$/.test(text);
