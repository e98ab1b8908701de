"""The bridge's own pages on Wi-Fi (SPEC 3): one hands in a token, the other is a phone page's way here and back.

What they are given stands in the fragment of their address, which no browser sends; their scripts take it out at once.
"""

from binascii import b2a_base64

from . import crypto

TOKEN = b"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="color-scheme" content="light dark"><title>Speakeasy</title></head>
<body><h1>Speakeasy</h1><p id="says" role="status">One moment...</p>
<noscript><p>This page needs JavaScript to hand in your token.</p></noscript><script>
"use strict";
const says = text => { document.getElementById("says").textContent = text; };
const token = location.hash.slice(1);
history.replaceState(null, "", "/t");
const say = told => {
  const until = new Date(Date.now() + 1000 * told.lease_s).toLocaleString();
  const yet = {
    "set-up": "No music plays just now: the speaker is being set up. It will when that is over.",
    undecided: "No music plays before an owner has said which machine is the speaker.",
    down: "The speaker's place is not ready yet: wait a minute.",
  }[told.segment] || (told.speaker ? "" : "But the speaker is not there: switch it on, and wait a minute.");
  says(told.name + " (" + told.addr + ") may use the speaker until " + until + ", longer while it is in use. " + yet);
};
if (token) {
  fetch("/token", {method: "POST", body: JSON.stringify({token: token})})
    .then(answer => answer.json().then(told => { if (answer.ok) say(told); else says(told.say); }))
    .catch(() => says("The bridge did not answer. Is this device in the same network? Ask for a new link."));
} else {
  says("This link was used here. If no music plays, have a new one made on a phone that is paired.");
}
</script></body></html>
"""

# `back` is anybody's: only what a browser's own parser takes for an address on the Web is gone to, never a script.
VISIT = b"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="color-scheme" content="light dark"><title>Speakeasy</title></head>
<body><h1>Speakeasy</h1><p id="says" role="status">One moment...</p><p><a id="link" hidden>Go back</a></p>
<noscript><p>This page needs JavaScript. Switch it on, or go back, and use Bluetooth.</p></noscript><script>
"use strict";
const given = new URLSearchParams(location.hash.slice(1));
history.replaceState(null, "", "/p");
const what = ["claim", "open"].find(name => given.has(name));
const ask = what ? {method: "POST", body: given.get(what)} : {};
let page;
try { page = new URL(given.get("back")); } catch {}
if (page && /^https?:$/.test(page.protocol)) {
  const leave = (status, answer) => {
    page.hash = new URLSearchParams({status: status, answer: answer});
    location.replace(page);
  };
  page.hash = "";
  link.href = page;
  link.hidden = false;
  fetch("/" + (what || "challenge"), {...ask, signal: AbortSignal.timeout(12000)})
    .then(answer => answer.text().then(told => leave(answer.status, told)))
    .catch(() => leave(0, ""));
} else {
  says.textContent = "The bridge is here. This address is for the phone page: go back to it, and try there again.";
}
</script></body></html>
"""


def headers(page: bytes) -> str:
    """For an answer with that page: it may do what it needs, nothing may frame it, and no other script runs in it."""
    script = page[page.find(b"<script>") + 8 : page.find(b"</script>")]
    tag = b2a_base64(crypto.digest(script)).decode().strip()
    return (
        "Content-Security-Policy: default-src 'none'; script-src 'sha256-%s'; connect-src 'self'; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'none'\r\nReferrer-Policy: no-referrer\r\n" % tag
    )
