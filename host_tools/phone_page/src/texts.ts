/**
 * Every text that a person reads on this page, in English. A text with values in it is a function.
 *
 * Words are those of people, not of networks: "let in until", "the dorm's Wi-Fi", "the speaker's Wi-Fi". What went wrong comes with what to do.
 */
import type { Facts as FlashFacts, FlashTroubleKind } from "./flash/trouble.ts";
import type { TroubleKind } from "./protocol/types.ts";
import type { Outcome, VisitWord } from "./visit.ts";

/** What happened, and what to do next. */
type Words = { what: string; next: string };

const trouble: Record<TroubleKind, Words> = {
  "no-bluetooth": {
    what: "This browser cannot use Bluetooth",
    next: "Open this page in Chrome or Edge on Android, Windows or macOS (on Linux Bluetooth is switched on at chrome://flags). On an iPhone or iPad, use the browser Bluefy.",
  },
  "bluetooth-off": {
    what: "Bluetooth is off, or this browser may not use it",
    next: "Switch Bluetooth on, and allow it for this browser in the phone's settings. Then try again.",
  },
  "no-crypto": {
    what: "This browser is too old",
    next: "It lacks the cryptography (X25519) that keeps your bridge private. Update the browser, and open this page by https.",
  },
  "nobody-chosen": {
    what: "No bridge was chosen",
    next: "Stay within a few metres of the bridge and choose “Speakeasy” in the list. Is the list empty? Press the button on the bridge, then try again.",
  },
  "out-of-range": {
    what: "The connection to the bridge broke",
    next: "Go nearer to it, a few metres are best. Nothing is lost: you go on where you were.",
  },
  "not-a-bridge": {
    what: "That is not a Speakeasy bridge",
    next: "Try again, and choose “Speakeasy” in the list.",
  },
  "another-bridge": {
    what: "That is another bridge",
    next: "There is more than one near you. Go close to yours, try again and choose the other “Speakeasy” in the list.",
  },
  "wrong-secret": {
    what: "The bridge does not accept that",
    next: "The code is another bridge's, an invite was used or has expired, or this phone was removed by an owner.",
  },
  locked: {
    what: "The bridge takes no codes for a while",
    next: "There were too many wrong ones. Wait half a minute (longer after each further one), or press the button on the bridge, then try again.",
  },
  "has-owner": {
    what: "This bridge has an owner already",
    next: "Ask the owner for an invite. Or press the button on the bridge: for two minutes its label lets you in as a guest.",
  },
  "no-invite": {
    what: "That invite is not good any more",
    next: "It was used, has expired or was called back. Ask the owner for a new one.",
  },
  "older-page": {
    what: "The bridge is newer than this page",
    next: "Close this page everywhere and open it again while you are online: it updates itself.",
  },
  "older-bridge": {
    what: "The bridge is older than this page",
    next: "Its owner has to flash it with the present firmware. It keeps its phones and networks.",
  },
  unproven: {
    what: "What answered is not your bridge",
    next: "It does not know the secret that yours knows. Go close to your bridge and try again; if it happens again, somebody near you may be imitating it.",
  },
  broken: {
    what: "The connection was disturbed",
    next: "A message came broken, so it was ended. Nothing is lost: connect again.",
  },
  timeout: {
    what: "The bridge did not answer in time",
    next: "Go nearer to it, see that it has power, and connect again.",
  },
  "hung-up": {
    what: "The bridge ended the connection",
    next: "It does so after half a minute of silence, and after ten minutes. Connect again and go on.",
  },
};

/** The words of `error` in the bridge's answers (SPEC 2.4). */
const refused: Record<string, Words> = {
  "bad-request": {
    what: "The bridge does not understand that",
    next: "It may be older than this page: its owner should update it. Nothing was changed.",
  },
  "not-allowed": { what: "This phone may not do that", next: "Only owners may. Ask an owner of the bridge." },
  "not-found": {
    what: "The bridge does not know it any more",
    next: "Somebody else may have changed it meanwhile. Go back and look again.",
  },
  full: {
    what: "The bridge is full",
    next: "It knows 16 phones, which is all it can. An owner has to remove one first.",
  },
  "last-owner": {
    what: "This is the bridge's last owner",
    next: "Make somebody else an owner first, or reset the bridge.",
  },
  busy: { what: "The bridge is busy", next: "It is joining a network. Try again in a few seconds." },
  "by-cable": {
    what: "That is by cable here",
    next: "This bridge uses its Ethernet socket for it, so there is no Wi-Fi to set.",
  },
  failed: { what: "The bridge could not do that", next: "Try again. If it fails again, start the bridge anew." },
};

/** What came of a visit to the bridge over Wi-Fi, by its `word` where it was refused, else by its `kind` (visit.ts). */
const visit: Record<VisitWord | Exclude<Outcome["kind"], "claimed" | "opened" | "refused">, Words> = {
  "bad-proof": {
    what: "The bridge does not know this phone",
    next: "Try again. If it stays so, an owner has removed this phone, or the bridge was reset: pair with it again.",
  },
  "not-allowed": {
    what: "This phone may not do that",
    next: "Only owners may. Ask one, or press the button on the bridge.",
  },
  relayed: {
    what: "Something between this phone and the bridge answers for it",
    next: "It may be a repeater, or somebody who listens. Join the dorm's Wi-Fi itself, and try again.",
  },
  "slow-down": {
    what: "The bridge has just refused too many tries",
    next: "They need not have been yours. Wait ten seconds, and try again.",
  },
  busy: { what: "Too many phones ask the bridge at the same moment", next: "Try again in a few seconds." },
  full: {
    what: "No more phones can be let in",
    next: "All 16 places are taken. Wait for one to go away, or have an owner remove one.",
  },
  unseen: { what: "The bridge does not see this phone yet", next: "Try again in a few seconds." },
  failed: { what: "The bridge could not do that", next: "Try again. If it fails again, start the bridge anew." },
  offline: {
    what: "This phone is on no network",
    next: "Join the dorm's Wi-Fi, the one that the bridge is on. Then try again.",
  },
  "no-address": {
    what: "Where the bridge is on the dorm's Wi-Fi is not known here",
    next: "Connect to it by Bluetooth once: it tells. If it is on no Wi-Fi yet, an owner has it join one.",
  },
  "no-answer": {
    what: "The bridge did not answer",
    next: "Is this phone on the dorm's Wi-Fi, the one that the bridge is on? Has the bridge power? If it got another address meanwhile, connect by Bluetooth once: it tells.",
  },
  "another-bridge": {
    what: "Another bridge is there now",
    next: "Yours has got another address. Connect to it by Bluetooth once: it tells where it is.",
  },
  unproven: {
    what: "What answered is not your bridge",
    next: "It does not know this phone's key. Connect to your bridge by Bluetooth; if it is where this phone looked for it, somebody on that Wi-Fi is imitating it.",
  },
};
/** A name that somebody gave, in a sentence: parts/wording.ts isolates it. Marks that turn letters round would end that. */
export const named = (name: string) => `\u2068${name.replace(/[\u202a-\u202e\u2066-\u2069]/g, "")}\u2069`;
/** A flash's size. */
const megabytes = (bytes: number) => `${Math.round((bytes / (1 << 20)) * 10) / 10} MB`;
/** What a program says went wrong, before what to do. */
const reason = (why: string | undefined) => (why ? `(${why}.) ` : "");

export const texts = {
  name: "Speakeasy",

  parts: {
    back: "Back",
    step: (n: number, of: number, name?: string) => `Step ${n} of ${of}${name ? ` · ${name}` : ""}`,
    show: (label: string) => `Show: ${label}`,
    copy: (label: string) => `Copy: ${label}`,
    copyShort: "Copy",
    copied: "Copied",
    marked: "Marked",
    cancel: "Cancel",
    close: "Close",
    typeToConfirm: (word: string) => `To confirm, type “${word}”`,
    tryAgain: "Try again",
    connectAgain: "Connect again",
  },

  trouble,
  refused,
  visit,
  visitHint: "If the browser says that it cannot reach the page, go back: this page then says what to do.",
  /** Why nothing can be remembered here. */
  store: {
    "no-store": {
      what: "This browser keeps nothing for this page",
      next: "It may be a private window. Open the page in a normal one: this phone's key has to stay here.",
    },
    "store-full": {
      what: "There is no room left in this browser",
      next: "Make some room on this phone, then try again.",
    },
    "newer-store": {
      what: "A newer version of this page is open",
      next: "Close this page everywhere, and open it again.",
    },
  } satisfies Record<string, Words>,
  unexpected: {
    what: "Something went wrong in this page",
    next: "Load the page again. Nothing is lost.",
  } satisfies Words,

  welcome: {
    title: "Your speaker, for your phones alone",
    lead: "A Speakeasy bridge guards your speaker in a dorm, a hotel or an office. Pair this phone with it, and only paired phones can reach the speaker.",
    scannedCode: "Begin with the code that was just opened?",
    scannedInvite: "Begin with the invite that was just opened?",
    scannedWords: "What is on the screen now is left for it. If you have not scanned or opened one yourself, cancel.",
    scannedUse: "Begin",
    scan: "Scan the code on the bridge's label with this phone's camera. Or type it.",
    type: "Type the label's code",
    flash: "Flash a board",
    noBluetooth: "This browser cannot use Bluetooth",
    noBluetoothLead: "Pairing goes by Bluetooth, and only some browsers let a page use it.",
    browsers: "Open this page in one of these",
    browserList: [
      ["Android", "Chrome, Edge or Samsung Internet"],
      ["Windows, macOS, Chromebook", "Chrome or Edge"],
      ["Linux", "Chrome, Chromium or Edge, with chrome://flags/#enable-experimental-web-platform-features switched on"],
      ["iPhone, iPad", "Bluefy, a free browser from the App Store. Safari and Chrome have no Bluetooth there."],
    ],
    copyAddress: "This page's address",
    computer: "A computer can pair, too: the command “speakeasy pair” does it without a browser.",
    badLink: "The code in that link is not whole",
    badLinkNext: "Scan the label again, or type its code here.",
    moment: "One moment",
    visiting: "Back from the bridge. One moment…",
  },

  firstMinute: {
    steps: {
      code: "Code",
      bridge: "Bridge",
      phone: "This phone",
      wifi: "Dorm's Wi-Fi",
      speaker: "Speaker",
      letIn: "Let in",
    },

    codeTitle: "Type the code",
    codeLead: "It is on the bridge's label, in groups of five. An invite or its link will do, too.",
    code: "Code or invite",
    codeHint: "Capitals, spaces and hyphens do not matter.",
    codeWhole: "That is a whole setup code.",
    inviteWhole: "That is a whole invite.",
    codeSoFar: (given: number, expected: number) => `${given} of ${expected} signs so far.`,
    codeLength: (given: number, expected: number) =>
      given < expected
        ? given > 0
          ? `${given} of ${expected} signs: some are missing.`
          : "Type the code, or paste the invite."
        : `${given} signs: a code has ${expected}. Are there some too many?`,
    codeSymbol: (place: number) => `Sign ${place} is none that a code has. Compare it with the label.`,
    codeCheck: "One sign is not right. Compare the code with the label, sign by sign.",
    codeLink: "There is no code in that link. Type the code itself.",
    next: "Next",

    findTitle: "Find your bridge",
    findLead: "Stay close to it and see that it has power. Your browser shows what is near: choose “Speakeasy”.",
    inviteLead: "You are invited. Go close to the bridge. Your browser shows what is near: choose “Speakeasy”.",
    find: "Find the bridge",
    finding: "Looking and connecting",
    asksBluetooth: "Your browser may ask whether this page may use Bluetooth: allow it.",
    wrongCode: {
      what: "The code is not this bridge's",
      next: "Compare it with the label. Where there are several bridges, you may have chosen somebody else's.",
    },
    wrongInvite: {
      what: "That invite is not good any more",
      next: "It was used, has expired or was called back, or it is for another bridge. Ask the owner for a new one.",
    },
    typeAgain: "Type the code again",
    typeInvite: "Type another invite",

    foundTitle: "Found your bridge",
    foundLead: "It has proven that it is the right one. What shall this phone be called there?",
    name: "This phone's name",
    nameHint: "Owners see it in their list of phones.",
    nameWrong: "A name has 1 to 32 characters.",
    pair: "Pair this phone",
    pairing: "Pairing",
    devices: {
      Android: "Android phone",
      iPhone: "iPhone",
      iPad: "iPad",
      Mac: "Mac",
      Windows: "Windows computer",
      CrOS: "Chromebook",
      Linux: "Linux computer",
    },
    device: "Phone",

    goOnTitle: "Go on with your bridge",
    goOnLead: "This phone is paired. Go close to the bridge and connect again: you go on where you were.",
    connect: "Connect",
    connecting: "Connecting",
    buttonHint: "Is the list empty? Press the button on the bridge: it is on the air for two minutes then.",
    later: "Go on later",

    wifiTitle: "Which Wi-Fi is the dorm's?",
    wifiLead: "The bridge joins it like any phone. Choose the one that your phone uses, too.",
    looking: "The bridge looks around",
    lookAgain: "Look again",
    networks: "Networks that the bridge sees",
    noNetworks: "The bridge sees no network",
    noNetworksNext: "It hears Wi-Fi at 2.4 GHz only. Bring it nearer to where the Wi-Fi is good, and look again.",
    onlyNear: "Yours is missing? The bridge hears Wi-Fi at 2.4 GHz only, not at 5 GHz.",
    other: "Another network",
    otherDetail: "It hides its name: type it",
    signal: ["very weak signal", "weak signal", "fair signal", "good signal", "strong signal"],
    security: {
      open: "Open: no key",
      psk: "Needs a key",
      enterprise: "Needs a user's name and password",
      other: "Of a kind that the bridge cannot join",
    },
    joinTitle: (ssid: string) => `Join ${named(ssid)}`,
    joinHiddenTitle: "Join a hidden network",
    ssid: "Name of the network",
    ssidWrong: "Type the network's name: 1 to 32 characters, fewer with accents.",
    kind: "What does it ask for?",
    kinds: { psk: "A key", enterprise: "A user's name and password", open: "Nothing" },
    key: "Key of this Wi-Fi",
    keyWrong: "A Wi-Fi key has 8 to 63 characters: digits, signs, spaces, and letters without accents.",
    openHint: "Everybody joins it without a key. Your speaker is guarded all the same.",
    user: "User's name",
    userHint: "As whoever runs the network gave it to you, like ada@example.edu.",
    password: "Password",
    loginWrong: "Type it: 1 to 64 characters, fewer with accents.",
    whichServer: "Who may ask for the password?",
    whichServerWrong: "Choose one of the two.",
    serverNamed: "Only the network's own server",
    serverNamedHint: "Whoever runs the network tells its name. Your password is safe from imitators.",
    serverAny: "Any server",
    serverAnyHint:
      "Whoever imitates this network near you can get at your password. Choose it only if nobody can tell you the name.",
    server: "Name of the server",
    serverHint: "Like radius.example.edu. Its certificate must be of a public authority.",
    more: "More for this network",
    inner: "How the password is sent",
    innerMschap: "MSCHAPv2, as nearly everywhere",
    innerPap: "PAP inside TTLS",
    innerPapHint: "The server learns the password itself: only with a named server.",
    papNeedsServer: "PAP needs the server's name.",
    identity: "Name that everybody hears",
    identityHint: "Leave it empty for an anonymous one.",
    join: "Join",
    joiningTitle: (ssid: string) => `Joining ${named(ssid)}`,
    joining: "The bridge tries it now. This takes up to half a minute.",
    joiningPatience: "Your phone stays connected meanwhile, or comes back by itself.",
    joinFailed: {
      "wrong-key": { what: "The key is wrong", next: "Compare it, and try again. Capitals count." },
      "wrong-login": {
        what: "The network refused the login",
        next: "The user's name or the password is wrong, or its server is not the one that was named.",
      },
      "no-network": {
        what: "There is no such network where the bridge is",
        next: "Check its name, or bring the bridge nearer to it.",
      },
      "no-dhcp": {
        what: "The network lets the bridge in, but gives it no address",
        next: "It may want devices to be registered: see below. Or try again later.",
      },
      "unusable-address": {
        what: "The network gives an address that no device can have",
        next: "Ask who runs it, or take another network.",
      },
      failed: { what: "Joining did not work", next: "Bring the bridge nearer to the Wi-Fi, and try again." },
      late: {
        what: "The bridge is not on that network yet",
        next: "It goes on trying. Try again, or take another network.",
      },
    },
    registerTitle: "Must devices be registered there?",
    register:
      "Where it does, register this address of the bridge, as one does with a games console. The bridge cannot use a page to sign in at.",
    mac: "The bridge's address (MAC)",
    joined: (ssid: string) => `The bridge is on ${named(ssid)}.`,
    stay: "Stay on it",

    cableTitle: "Plug the bridge into the wall",
    cableLead: "This bridge uses its Ethernet socket for the dorm's network. Plug its cable in at both ends.",
    cableWaiting: "Waiting for the network on the cable",

    speakerTitle: "Put the speaker on",
    speakerLead: "The bridge has a Wi-Fi of its own, and the speaker is its only guest. Have the speaker join it.",
    speakerWifiName: "Name of the speaker's Wi-Fi",
    speakerWifiKey: "Key of the speaker's Wi-Fi",
    speakerWaiting: "Waiting for the speaker",
    speakerThere: "The speaker is there",
    speakerThereDetail: (mac: string) => `Its address (MAC) is ${mac}: compare it with the speaker's label.`,
    speakerCableLead: "Plug the speaker into the bridge's Ethernet socket. Nothing else is to be done.",
    speakerSkip: "Go on without the speaker",
    speakerNew: "My speaker is new",
    speakerNewDetail: "Set it up with its maker's app",
    speakerKnows: "My speaker knows a Wi-Fi already",
    speakerKnowsDetail: "Give the bridge its name and key",
    speakerHelp: "How do I do that?",

    knowsTitle: "The Wi-Fi that the speaker knows",
    knowsLead: "Type its name and key: the bridge takes them for the speaker's Wi-Fi, and the speaker comes by itself.",
    knowsWarn: "Switch that other Wi-Fi off, or take the speaker away from it: it joins the one that is nearer.",
    save: "Use these",

    setUpTitle: "Set up a new speaker",
    setUpLead:
      "The maker's app wants this phone to be beside the speaker. For fifteen minutes there is room for both on the speaker's Wi-Fi.",
    setUpOpen: "Make room for this phone",
    setUpSteps: [
      "Copy the key. In the phone's settings, join the speaker's Wi-Fi. Stay on it, even if the phone says that it has no internet.",
      "Open the maker's app, add the speaker, and give it the same Wi-Fi and key.",
      "Let the phone forget that Wi-Fi, go back to the dorm's, and come back here.",
    ],
    setUpLeft: (minutes: number) =>
      minutes === 1 ? "Room for both for one more minute." : `Room for both for ${minutes} more minutes.`,
    setUpDone: "The speaker is set up",

    whichTitle: "Which one is the speaker?",
    whichLead:
      "These were on the speaker's Wi-Fi. The speaker's label has its address (MAC). Nobody but the one that you choose can be the speaker from now on.",
    which: "Devices that were there",
    whichOther: "Another one",
    whichMac: "The speaker's address (MAC)",
    whichMacHint: "Twelve signs, as on its label: 5c:aa:fd:00:00:01.",
    whichMacWrong: "Six pairs of 0 to 9 and a to f, with colons between them.",
    whichChoose: "Choose one.",
    whichAgain: "Set the speaker up again",
    whichNobody:
      "Nobody was seen on the speaker's Wi-Fi yet. Set the speaker up again, or type its address (MAC), which is on its label: only that device can be the speaker from now on.",
    choose: "That is the speaker",

    letInTitle: "Let this phone in",
    letInLead: (ssid: string) =>
      `Be on the dorm's Wi-Fi, ${named(ssid)}, with this phone. It visits the bridge there for a moment, and comes back.`,
    letInCableLead:
      "Be on the same network as the bridge with this phone. It visits the bridge there for a moment, and comes back.",
    letIn: "Let me in",
    visiting: "Visiting the bridge",
    noUplinkTitle: "The bridge is on no network yet",
    noUplinkGuest:
      "An owner has to have it join the dorm's Wi-Fi. This phone is paired all the same: you can be let in later.",
    askBridge: "Ask the bridge where it is",
    toWifi: "Choose the dorm's Wi-Fi",

    playTitle: "Play something",
    playIn: (clock: string) => `You are in until ${clock}`,
    playInNext: "And longer while you use the speaker.",
    playLead: "Open the speaker's app on this phone. It finds the speaker by itself.",
    playSegment: {
      down: {
        what: "The speaker's Wi-Fi is off just now",
        next: "If it stays so, an owner has to restart the bridge.",
      },
      "set-up": { what: "A speaker is being set up", next: "Nobody can play until that is done." },
      away: { what: "The speaker is not there yet", next: "See that it has power and is on the bridge's Wi-Fi." },
      undecided: {
        what: "Nobody has said yet which device is the speaker",
        next: "Connect to the bridge as an owner and say so.",
      },
    },
    playOther: "A friend's phone? Invite it. Another room, another Wi-Fi? All that is on the next page.",
    done: "Done",
  },

  /** The screens of a phone that is paired. */
  everyday: {
    // --- home ---
    home: "Your speaker",
    homes: "Your speakers",
    bridge: (ssid: string) => (ssid ? `The bridge on ${named(ssid)}` : "Your bridge"),
    bridgeId: (id: string) => `bridge ${id}`,
    roles: { owner: "owner", guest: "guest" },
    youAre: (name: string, role: string) =>
      `This phone is “${named(name)}” there, ${role === "owner" ? "an owner" : "a guest"}.`,
    inUntil: (clock: string) => `You are in until ${clock}`,
    inLonger: "And longer while you use it: only after 12 hours without use you have to be let in again.",
    notIn: "Not let in",
    notInNext: "Music apps on this phone find the speaker once you are in. Be on the dorm's Wi-Fi first.",
    wasIn: (clock: string) => `You were in until ${clock}`,
    wasInNext: "If you used the speaker since, you may still be in. To be sure, tap.",
    goOn: "Go on setting up",
    goOnHint: "The dorm's Wi-Fi, then the speaker: what is still to be done, step by step.",
    letMeIn: "Let me in",
    letMeInAgain: "Let me in again",
    letMeInAgainHint: "After this phone was on another network, or where music apps find nothing.",
    going: "Asking the bridge",
    whereUnknown: "This page does not know where the bridge is on the dorm's Wi-Fi. Connect to it once: it tells.",
    manage: "Manage",
    manageHint: "Invite friends, see what was blocked, change networks. Over Bluetooth, near the bridge.",
    manageGuestHint: "See how the bridge is, and let another device of yours in. Over Bluetooth, near the bridge.",
    forgetHere: "Forget this bridge here",
    forgetHereTitle: "Forget this bridge on this phone?",
    forgetHereWarn: (owner: boolean) =>
      owner
        ? "The bridge goes on knowing this phone as an owner. If it is the only one, nobody can manage the bridge any more: its button, held for ten seconds, makes it as new then. If the bridge still works, leave it instead: Manage, People, Leave."
        : "Only an invite, or its label once its button was pressed, brings this phone back.",
    forgetHereYes: "Forget it",
    forgotten: "This phone has forgotten the bridge.",
    pairedAnew: "This phone was paired with the bridge anew meanwhile, in another tab: that stays.",
    aboutBridge: "About this bridge",
    pairAnother: "Pair with another bridge",
    none: "This phone is paired with no bridge.",
    pair: "Pair with a bridge",

    // --- connecting ---
    connectTitle: "Connect to the bridge",
    connectLead: "Be near it. Your browser shows a list: choose “Speakeasy” there.",
    openLead: "The bridge keeps its Bluetooth off while nobody needs it. So switch it on first, then connect.",
    connect: "Connect",
    noneChosen: {
      what: "No bridge was chosen",
      next: "Was the list empty? Then the bridge's Bluetooth is off: switch it on first, here or by its button.",
    },
    pairAgain: "Type a code or an invite",
    connecting: "Connecting",
    bluetoothOff: "Nothing in the list?",
    bluetoothOffWhy: "The bridge keeps its Bluetooth off while nobody needs it.",
    openOverWifi: "Switch its Bluetooth on over Wi-Fi",
    openOverWifiHint: "This phone has to be on the dorm's Wi-Fi. It is on for five minutes then.",
    pressButton: "Press the button on the bridge: its Bluetooth is on for two minutes then.",
    pressButtonGuest:
      "Press the button on the bridge: its Bluetooth is on for two minutes then. Or have an owner switch it on.",
    opened: "Its Bluetooth is on for five minutes. Connect now.",
    noLongerPaired: "The bridge says that it does not know this phone any more",
    noLongerPairedNext:
      "An owner may have shut it out, or the bridge was made as new. But nothing proves it: any device near by can say so. Go close to the bridge and connect again. If it still says so, pair again, with an invite or with the label of a bridge that is as new: nothing has to be forgotten for that.",
    forgetUnproven: (owner: boolean) =>
      owner
        ? "That the bridge does not know this phone is its own word, and not proven: any device near by can say so. If it is not true, a good key is lost. If this phone is the only owner, nobody can manage the bridge any more then: its button, held for ten seconds, makes it as new."
        : "That the bridge does not know this phone is its own word, and not proven: any device near by can say so. If it is not true, a good key is lost: only an invite, or the bridge's label once its button was pressed, brings this phone back.",

    // --- the head of every screen while there is, or was, a connection ---
    disconnect: "Disconnect",
    over: "The connection has ended",
    overLong: "A connection lasts ten minutes at most. What you see here is from before.",
    overFar: "The bridge was out of reach, or it ended the connection. What you see here is from before.",
    connectAgain: "Connect again",
    loading: "Asking the bridge",
    tryAgain: "Ask again",

    claimedNoMusic: {
      "set-up": "The speaker is being set up just now: there is no music until an owner closes the set-up window.",
      undecided: "But an owner has to say which machine is the speaker: until then there is no music.",
      down: "But the speaker's Wi-Fi is off just now. If it stays so, an owner has to restart the bridge.",
      away: "But the speaker is not there: switch it on, and wait a minute.",
    } as Record<string, string>,
    refused: {
      full: "Then try again.",
      busy: "Then try again.",
      "not-allowed": "An owner has changed what this phone may do: disconnect, and connect again to see what is left.",
      failed: "Try again. If it fails again, restart the bridge.",
    } as Record<string, string>,

    // --- overview ---
    overview: "Your bridge",
    damaged:
      "The bridge's settings were damaged and set aside; it began anew without them. Pair your phones again with the setup code on its label.",
    you: "You",
    whatNow: "What you can do",
    close: "Close",
    meanwhile: "Who is in",
    nobodyIn: "Nobody is in. The speaker is silent to everybody else.",
    anotherPhone: "Another phone",
    /** Before what else is told of it. Not beside its name: anybody may take one that says so. */
    thisPhone: "this phone, ",
    until: (clock: string) => `until ${clock}, longer while it is used`,
    byMac: "this machine alone",
    byAddress: "whoever has this address",
    dormWifi: "The dorm's Wi-Fi",
    dormCable: "The dorm's network, on a cable",
    speaker: "The speaker",
    theBridge: "The bridge",
    address: "Address",
    macHint: "For dorms that want machines registered before they let them in: register this one.",
    firmware: "Firmware",
    upFor: "Running for",
    phonesPaired: "Phones paired",
    bluetooth: "Bluetooth:",
    ble: {
      unowned: "On: the setup code on the label makes the first owner.",
      window: "On, for the button was pressed: the setup code and invites are taken.",
      invited: "On, for an invite is out. It goes off when the invite is used, called back or too old.",
      managed: "On while you are connected, and for a minute after. Then it goes off.",
      locked: "On for phones that are paired. Codes are not taken for a while, after too many wrong ones.",
      closed: "Off.",
    } as Record<string, string>,
    bleFor: (left: string) => `For another ${left}.`,

    uplink: {
      off: {
        what: "The bridge knows no network.",
        owner: "Have it join one: “The dorm's Wi-Fi”.",
        guest: "Ask an owner to have it join one.",
      },
      joining: { what: "The bridge joins {net} now.", owner: "Wait some seconds.", guest: "Wait some seconds." },
      up: { what: "The bridge is on {net}.", owner: "", guest: "" },
      lost: {
        what: "{net} is lost, and the bridge tries to get back.",
        owner: "Is its access point on, and near enough?",
        guest: "Is its access point on, and near enough?",
      },
      "wrong-key": {
        what: "The key of {net} is wrong.",
        owner: "Join it again with the right one: “The dorm's Wi-Fi”.",
        guest: "Tell an owner: only they can give the right one.",
      },
      "wrong-login": {
        what: "{net} refused the user's name or password, or its server is not the one that was named.",
        owner: "Join it again with the right ones: “The dorm's Wi-Fi”.",
        guest: "Tell an owner: only they can give the right ones.",
      },
      "no-network": {
        what: "There is no network {net} where the bridge is.",
        owner: "Check its name, or bring the bridge nearer to it.",
        guest: "Bring the bridge nearer to it, or ask an owner.",
      },
      "no-dhcp": {
        what: "{net} lets the bridge in, but gives it no address.",
        owner:
          "Many dorms want machines registered first: give them the bridge's MAC, below. Or ask who runs that network.",
        guest: "Many dorms want machines registered first. Ask an owner of the bridge.",
      },
      "unusable-address": {
        what: "{net} gives an address that no machine can have.",
        owner: "Ask who runs it, or join another network: “The dorm's Wi-Fi”.",
        guest: "Ask who runs it, or an owner of the bridge.",
      },
      failed: {
        what: "Joining {net} failed; nobody knows why.",
        owner: "The bridge tries again. You can, too: “The dorm's Wi-Fi”.",
        guest: "The bridge tries again.",
      },
    } as Record<string, { what: string; owner: string; guest: string }>,
    cable: {
      off: { what: "The bridge starts.", owner: "", guest: "" },
      joining: {
        what: "The bridge waits for an address on its cable.",
        owner: "Wait some seconds.",
        guest: "Wait some seconds.",
      },
      up: { what: "The bridge is on its cable.", owner: "", guest: "" },
      lost: {
        what: "The network on the bridge's cable is lost.",
        owner: "Is it plugged in at both ends?",
        guest: "Is it plugged in at both ends?",
      },
      "no-cable": {
        what: "The bridge's cable has no link.",
        owner: "Plug it in at both ends, or have the bridge use Wi-Fi: “For experts”.",
        guest: "Plug it in at both ends.",
      },
      "no-dhcp": {
        what: "The network on the bridge's cable gives it no address.",
        owner: "Many dorms want machines registered first: give them the bridge's MAC, below. Or try another socket.",
        guest: "Ask an owner, or try another socket.",
      },
      "unusable-address": {
        what: "The network on the bridge's cable gives an address that no machine can have.",
        owner: "Ask who runs it.",
        guest: "Ask who runs it.",
      },
    } as Record<string, { what: string; owner: string; guest: string }>,
    theNetwork: "the network",
    unknownState: (state: string) =>
      `It says “${state}”, which this page does not know: load the page again, while you are online.`,

    speakerThere: "The speaker is there.",
    speakerAway: "The speaker is not there just now.",
    speakerAwayNext: "Switch it on, and wait a minute.",
    speakerAt: (mac: string, addr: string) => `${mac}, at ${addr}`,
    speakerSetUp: "It is being set up: a second machine may be on the speaker's Wi-Fi, and no music plays.",
    speakerSetUpOwner: "When it is done, close the set-up window.",
    speakerSetUpGuest: "An owner ends that.",
    speakerUndecided: "Nobody is the speaker until an owner says who is, and no music plays.",
    speakerUndecidedOwner: "Say which machine it is: “Set-up window”.",
    speakerUndecidedGuest: "Ask an owner to say it.",
    speakerNoneCable: "No speaker yet: plug it into the bridge's Ethernet.",
    speakerNone: "No speaker yet.",
    speakerNoneOwner: "Have it join the speaker's Wi-Fi. Its name and key: “The speaker's Wi-Fi”.",
    speakerNoneGuest: "Have it join the speaker's Wi-Fi: an owner can show the name and key.",

    // --- another device of one's own ---
    device: "Let another device of yours in",
    deviceHint: "A laptop without this page: by a link, once.",
    deviceLead:
      "A link lets a browser in, once, within a minute. For a device of yours that cannot pair, like a laptop without Bluetooth.",
    deviceWarn:
      "That device takes this phone's place: it is in then, and this phone is out. “Let me in” swaps them back.",
    deviceMake: "Make a link",
    deviceMakeAgain: "Make a new link",
    deviceScan: "Open this on that device, in the dorm's Wi-Fi.",
    deviceQr: "QR code of the link that lets one device in",
    deviceLink: "Link",
    secondsLeft: (s: number) => (s === 1 ? "Good for another second." : `Good for another ${s} seconds.`),
    deviceOld: "That link is too old now: it was good for a minute.",

    // --- invite ---
    invite: "Invite a friend",
    inviteHint: "A link or QR code that pairs one more phone.",
    inviteLead: "An invite pairs one phone, once. Whoever has it can use it: give it to your friend alone.",
    inviteAs: "Your friend will be",
    inviteGuest: "A guest",
    inviteGuestHint: "May use the speaker.",
    inviteOwner: "An owner",
    inviteOwnerHint: "May do all that you may: invite, shut out, change networks, reset the bridge.",
    inviteFor: "The invite is good for",
    inviteShort: "10 minutes",
    inviteLong: "1 hour",
    inviteMake: "Make an invite",
    inviteAnother: "Make another invite",
    inviteScan: "Have your friend scan this with the phone's camera, near the bridge.",
    inviteQr: "QR code of the invite's link",
    inviteLink: "Link",
    inviteText: "Invite",
    inviteTextHint: "Where a link does not open: your friend opens this page and types, or pastes, the invite.",
    inviteLocal:
      "This page runs on this machine alone, so that no link leads to it from elsewhere. Your friend opens the page there, or runs “speakeasy pair”, and pastes the invite.",
    inviteGood: (role: string, clock: string) =>
      `For one ${role}, once, until ${clock}. Your friend has to be near the bridge.`,
    inviteShare: "Share",
    inviteShareTitle: "Invite to the speaker",
    inviteOld: "That invite is too old now. Make a new one.",
    inviteVoidTitle: "Changed your mind?",
    inviteVoid: "Call all invites back",
    inviteVoidHint: "Nobody can use an invite any more that is out, whichever owner made it. Who is paired stays.",
    inviteVoided: "No invite is out any more.",

    // --- people ---
    people: "People",
    peopleHint: "Who is paired; rename, shut out, leave.",
    peopleLead: "Every phone that is paired with the bridge.",
    inNow: (clock: string) => `in until ${clock}`,
    notInNow: "not in now",
    rename: "Rename",
    renameTitle: (name: string) => `Another name for ${named(name)}`,
    name: "Name",
    nameWrong: "A name has 1 to 32 characters.",
    save: "Save",
    renamed: (name: string) => `It is called ${named(name)} now.`,
    shutOut: "Shut out",
    shutOutTitle: (name: string) => `Shut ${named(name)} out?`,
    shutOutWarn:
      "At once: its music stops, its key is void, and so are the invites that it made. Only a new invite brings it back.",
    shutOutDone: (name: string) => `${named(name)} is shut out: its key is void, its connections are cut.`,
    leave: "Leave this bridge",
    leaveTitle: "Leave this bridge?",
    leaveWarn: (owner: boolean) =>
      owner
        ? "The bridge forgets this phone, and this phone the bridge. Only an owner's invite makes this phone an owner again."
        : "The bridge forgets this phone, and this phone the bridge. Only an invite, or its label once its button was pressed, brings this phone back.",
    leaveYes: "Leave",
    left: "This phone is not paired with that bridge any more.",
    lastOwner: "You are the only owner",
    lastOwnerNext:
      "Without one nobody could manage the bridge. Invite another owner first. Or, to give the bridge away, reset it.",
    toInviteOwner: "Invite an owner",
    toReset: "Reset the bridge",

    // --- blocked lately ---
    blocked: "Blocked lately",
    blockedHint: "Who knocked, by hour, and why nobody came in.",
    blockedLead: "What the bridge kept away from the speaker in the last 24 hours, or since it started.",
    blockedNothing: "Nothing was blocked.",
    blockedOld: "This bridge's firmware does not count by hour yet: an owner has to update it.",
    blockedWho: "Who it was",
    blockedTable: "As a table, by hour",
    blockedDetails: "All reasons, since the bridge started",
    blockedDetailsLead:
      "Each is a reason for which the bridge dropped something, and how often. Much of it is ordinary noise.",
    groups: {
      strangers: {
        name: "Strangers",
        why: "Machines that are not let in tried the speaker's or the bridge's doors. Flatmates' apps look around by themselves, too.",
      },
      impostors: {
        name: "Impostors",
        why: "Somebody used the address of a phone that is in, of the bridge, or of a neighbour. On a quiet network this is no accident.",
      },
      speaker: {
        name: "The speaker itself",
        why: "It tried to reach neighbours, or ports of mail and remote control, where it has no business.",
      },
      crowd: { name: "Too much at once", why: "More came, or faster, than the bridge lets through." },
      odd: {
        name: "Odd things",
        why: "Broken messages, or parts of no connection: mostly late ones of connections that are over, sometimes somebody who tries the locks.",
      },
    } as Record<string, { name: string; why: string }>,
    count: (n: number, full: boolean) => (full ? `${n.toLocaleString("en")} or more` : n.toLocaleString("en")),
    chartSays: (hours: number, most: string, clock: string) =>
      `Chart of what was blocked in ${hours === 1 ? "the present hour" : `the last ${hours} hours`}: at most ${most} in an hour, from ${clock} on. The same is in the table below.`,
    chartMost: (most: string) => `at most ${most} in an hour`,
    chartNow: "now",
    tableHour: "Hour from",
    tableSum: "Together",
    /** Why the filter dropped something: the words of host_tools/speakeasy/reasons.py, which a test compares. */
    reasons: {
      drop_short: "frame too short",
      drop_long: "frame too long",
      drop_source_mac: "sender with an impossible hardware address",
      drop_not_for_us: "meant for another machine",
      drop_ipv6: "IPv6",
      drop_vlan: "with a VLAN tag",
      drop_ethertype: "neither IPv4 nor ARP",
      drop_ip_header: "broken IP header",
      drop_ip_options: "with IP options",
      drop_ip_length: "wrong IP length",
      drop_ip_checksum: "wrong IP checksum",
      drop_fragment: "a fragment that does not pass",
      drop_fragment_overlap: "a fragment that covers another one",
      drop_fragment_unknown: "a fragment of nothing known",
      drop_fragment_late: "a fragment whose beginning did not come in time",
      drop_fragments_full: "too many fragments at a time",
      drop_ttl: "travelled too long (TTL)",
      drop_protocol: "neither TCP, UDP nor ICMP",
      drop_l4_length: "wrong TCP or UDP length",
      drop_tcp_flags: "nonsense in the TCP flags",
      drop_icmp_checksum: "wrong ICMP checksum",
      drop_icmp_type: "an ICMP message that nobody needs",
      drop_icmp_inner: "ICMP error about nothing of ours",
      drop_source_address: "a sender's address that cannot be true",
      drop_lease_mac: "a paired phone's address, from another machine",
      drop_flow_mac: "into a connection, from another machine",
      drop_arp_bad: "broken ARP",
      drop_arp_spoof: "ARP that claims somebody else's address",
      drop_arp_conflict: "ARP that claims the bridge's address",
      drop_arp_unasked: "ARP answer that nobody asked for",
      drop_arp_other: "ARP between others",
      drop_dhcp_unasked: "DHCP that nobody asked for",
      drop_dhcp_bad: "broken DHCP",
      drop_dhcp_full: "too much DHCP at once",
      drop_no_uplink: "to the network, while there is none",
      drop_no_speaker: "to the speaker, while there is none",
      drop_no_rule: "nothing that anybody may do here",
      drop_no_lease: "a stranger at the speaker's door",
      drop_no_listener: "the speaker's announcement, and no phone here to hear it",
      drop_no_flow: "into no open connection",
      drop_multicast: "multicast that is nobody's business",
      drop_search_stranger: "a stranger's search for speakers or names",
      drop_search_bad: "malformed search for speakers",
      drop_egress_port: "the speaker, to a port that it may not use",
      drop_egress_local: "the speaker, to a neighbour that is not its own",
      drop_egress_address: "the speaker, to an address that cannot be",
      drop_tcp_window: "TCP outside of its window",
      drop_tcp_state: "TCP out of turn",
      drop_rate_egress: "the speaker opens connections too fast",
      drop_rate_callback: "the speaker calls phones back too fast",
      drop_rate_claim: "claims come too fast",
      drop_rate_echo: "pings come too fast",
      drop_rate_icmp_error: "ICMP errors come too fast",
      drop_rate_search: "a phone searches too fast",
      drop_rate_notify: "the speaker announces itself too fast",
      drop_flows_full: "no room for one more connection",
      drop_chain_full: "no room at this place of the connection table",
      drop_ports_full: "no port left for one more connection",
      drop_pending_full: "too many wait for a neighbour's address",
      drop_no_neighbour: "a neighbour that does not answer",
    } as Record<string, string>,

    // --- the dorm's Wi-Fi ---
    dormWifiHint: "Networks it remembers; join another.",
    dormWifiLead: "The bridge joins the first of these that is in sight. It remembers four.",
    noNetworks: "The bridge remembers no network. Have it join one.",
    wifiOpen: "open, without a key",
    wifiUser: (user: string) => `as ${named(user)}`,
    wifiNow: "the bridge is on it now",
    moveUp: (ssid: string) => `Try ${ssid} earlier`,
    moveDown: (ssid: string) => `Try ${ssid} later`,
    ordered: "The order is changed. The bridge stays where it is until it has to look for a network.",
    forgetNetwork: (ssid: string) => `Forget ${ssid}`,
    forgetNetworkTitle: (ssid: string) => `Have the bridge forget ${named(ssid)}?`,
    forgetNetworkWarn: "Its key is gone then.",
    forgetNetworkNow:
      "The bridge is on it: it leaves, music stops, and nobody reaches the bridge over Wi-Fi until it joins another one. You need Bluetooth to have it do so.",
    forgetYes: "Forget it",
    forgotNetwork: (ssid: string) => `The bridge has forgotten ${named(ssid)} and its key.`,
    joinAnother: "Join another network",
    macOf: "The bridge's own MAC",

    // --- the speaker's Wi-Fi ---
    speakerWifi: "The speaker's Wi-Fi",
    speakerWifiHint: "Its name and key, for the speaker alone.",
    speakerWifiLead: "The bridge's own Wi-Fi, for one speaker. No other machine belongs there.",
    wifiName: "Name",
    wifiKey: "Key",
    segment: {
      up: "It is on.",
      down: "It is off just now. If it stays so, restart the bridge: “For experts”.",
      "set-up": "It is open for a second machine, to set the speaker up.",
      undecided: "It is on, but nobody is the speaker until you say who: “Set-up window”.",
    } as Record<string, string>,
    changeWifi: "Change name or key",
    changeWifiWarn:
      "The speaker has to be told the new ones: until then it is on no network, and silent. Whoever tells it by a phone has that phone know the key, too.",
    newName: "New name",
    newKey: "New key",
    newKeyHint: "8 to 63 characters.",
    ssidWrong: "A network's name has 1 to 32 characters (fewer with accents or emoji).",
    keyWrong: "A key has 8 to 63 characters: letters without accents, digits, spaces, signs.",
    change: "Change",
    changeTitle: "Change the speaker's Wi-Fi?",
    changeYes: "Change it",
    changed: "It changes within a second. Now tell the speaker the new name and key.",

    // --- set-up window ---
    setUp: "Set-up window",
    setUpHint: "Let a phone beside the speaker, to set it up.",
    setUpLead:
      "The app of the speaker's maker wants to be beside the speaker while it sets it up. For that, a second machine may join the speaker's Wi-Fi for a while.",
    setUpWarn:
      "Music stops, and nobody is the speaker until the window closes. The two machines reach each other and nothing else.",
    setUpOpenTitle: "Open the window",
    setUpOpen: "Open it for 15 minutes",
    setUpLeft: (left: string) => `It is open for another ${left}`,
    setUpSteps: [
      "Join the speaker's Wi-Fi, below, with a phone.",
      "Run the app of the speaker's maker there, and have the speaker join the same Wi-Fi.",
      "Have that phone forget this Wi-Fi again, and close the window here.",
      "Say which machine is the speaker.",
    ],
    setUpDone: "Done: close it",
    setUpSeen: "Seen on the speaker's Wi-Fi",
    setUpNobody: "No machine has been there yet.",
    setUpForgotten: "More were there than the bridge remembers: these are the last ones.",
    setUpWhich: "Which machine is the speaker?",
    setUpUndecided: "Until you say which machine is the speaker, none is, and no music plays.",
    setUpMacHint:
      "The speaker's MAC is on its label, and in its maker's app. A phone shows its own beside the name of its Wi-Fi.",
    setUpOther: "Another one, by its MAC",
    setUpMac: "The speaker's MAC",
    setUpMacWrong: "A MAC looks like 02:00:00:00:42:20.",
    setUpChoose: "This is the speaker",
    setUpChosen: (mac: string) => `The speaker is ${mac}, and no other machine: others are thrown out.`,
    setUpChosenAway: "It was not there lately: compare the MAC, and have the speaker join its Wi-Fi.",
    setUpForget: "A phone that was beside it still knows that Wi-Fi's key: have it forget the network.",
    setUpAnybody: "The speaker is whoever is on its Wi-Fi: one machine at a time.",

    // --- for experts ---
    experts: "For experts",
    expertsHint: "Services, addressing, event log, restart, reset.",
    expertsLead: "Few people need any of this. Each part says what it does to the music.",
    services: "What phones may open on the speaker",
    servicesLead:
      "Ports of the speaker, for phones that are in; to nobody else. All music apps need tcp/1400; some newer ones tcp/1443, too, in which the bridge cannot look.",
    servicesWarn: "Taking one away ends the connections to it at once.",
    servicesNone: "None: no app can control the speaker.",
    service: "Another one, like tcp/1443",
    serviceWrong: "That is no service: it would look like tcp/1400.",
    serviceOwn: "The bridge needs that one itself.",
    serviceTwice: "That one is there already.",
    serviceFull: "At most 8 can be open. Take one away first.",
    add: "Add",
    takeShort: "Take away",
    take: (what: string) => `Take away ${what}`,
    takeTitle: (what: string) => `Take ${what} away?`,
    takeControl:
      "Without tcp/1400 no app can control the speaker: music goes on, and nobody can stop it but by the speaker's own buttons.",
    takeYes: "Take it away",
    servicesNow: (list: string) => `Phones that are in may open: ${list}.`,
    mode: "The speaker's address",
    modeLabel: "The speaker has, on the dorm's network, an address",
    modes: {
      passthrough: "The dorm's own (passthrough)",
      private: "One of its own, behind the bridge (private)",
    },
    modeHints: {
      passthrough:
        "The speaker has the bridge's address on the dorm's network: every app works. The right one unless you know better.",
      private:
        "The bridge rewrites what speaker and phones say to each other. For apps or networks that trip over the other way.",
    },
    modeWarn:
      "Another way of addressing ends the music, and the speaker comes again in some seconds. Who is in stays in.",
    modeTitle: "Change the speaker's address?",
    modeYes: "Change it",
    modeDone: "Changed. The speaker comes again in some seconds.",
    hosts: "Machines that the speaker may call",
    hostsLead:
      "A NAS with your music, for example. Of the dorm's own network the speaker may otherwise open connections to the router and to phones that are in, and to nobody else. Music goes on.",
    hostsNone: "None.",
    host: "Its address, like 10.66.0.5",
    hostWrong: "That is no address: it would look like 10.66.0.5.",
    hostTwice: "That one is there already.",
    hostFull: "At most 8 can be named. Take one away first.",
    hostsNow: (list: string) =>
      list ? `The speaker may call: ${list}.` : "The speaker may call no local machine now.",
    ethernet: "The bridge's Ethernet",
    ethernetLead: "What is on its cable. It changes when the bridge starts again: change the cable, then restart it.",
    ethernetLabel: "On the cable is",
    ethernets: { segment: "The speaker", uplink: "The dorm's network (the socket in the wall)" },
    ethernetHints: {
      segment: "The bridge joins the dorm's network by Wi-Fi, and has no Wi-Fi for the speaker.",
      uplink: "The bridge joins no Wi-Fi; the speaker joins the bridge's own.",
    },
    ethernetNext: "From the next start on. Change the cable, then restart the bridge.",
    ethernetSame: "It is so now.",
    log: "Event log",
    logOpen: "See what happened",
    logHint: "The bridge keeps its last 64 events.",
    logLead: "The newest first. In front: how long the bridge had been running.",
    logEmpty: "Nothing yet.",
    logAgain: "Look again",
    reboot: "Restart",
    rebootLead:
      "The bridge starts again, in some seconds. Music stops, and everybody has to be let in again. Nothing is forgotten.",
    rebootButton: "Restart the bridge",
    rebootTitle: "Restart the bridge?",
    rebootYes: "Restart",
    rebootDone: "The bridge starts again. In some seconds: let yourself in again, and start the music.",
    reset: "Reset",
    resetLead:
      "The bridge forgets all phones, networks and keys, and starts as new: music stops, nobody is paired. What stays is the setup code on its label, which makes its first owner.",
    resetButton: "Reset the bridge",
    resetTitle: "Make the bridge as new?",
    resetWord: "reset",
    resetYes: "Reset",
    resetDone: "The bridge starts again, as new. The setup code on its label makes its first owner.",

    span: (seconds: number) =>
      seconds >= 172800
        ? `${Math.floor(seconds / 86400)} days`
        : seconds >= 5400
          ? `${Math.round(seconds / 3600)} hours`
          : seconds >= 120
            ? `${Math.floor(seconds / 60)} minutes`
            : seconds === 1
              ? "1 second"
              : `${seconds} seconds`,
    tomorrow: (clock: string) => `tomorrow, ${clock}`,
  },

  flash: {
    title: "Put Speakeasy on a board",
    lead: "You need a board with an ESP32 and its USB cable. Plug it into this computer.",
    whichFirmware: "Which board is it?",
    ownFile: "Another one: a file of mine",
    file: "The firmware: firmware.bin",
    fileHint: "Drop it here, or choose it. “make firmware” made it, in build/BOARD.",
    offer: (chip: string, bytes: number) => `${chip}, with ${megabytes(bytes)} of flash or more`,
    chosen: (chip: string, bytes: number) => `For a board with an ${chip} and ${megabytes(bytes)} of flash or more.`,
    fresh: "Make it a new bridge",
    freshHint:
      "Erases all that is on the board, also a stranger's demo. Without it, a bridge keeps its label, phones and networks.",
    begin: "Choose the board and begin",
    onlyLabel: "Only show the label of a bridge",
    eraseTitle: "Erase all that is on the board?",
    eraseWords:
      "If it is a bridge, its phones and networks are gone then, and its old label is worth nothing. That cannot be undone.",
    eraseConfirm: "Erase it",
    workingTitle: "Putting Speakeasy on the board",
    labelTitle: "Reading the label",
    working: "Leave the cable in, and this page open.",
    progress: "How much is written",
    phase: {
      looking: "Looking at the board: nothing is written yet.",
      erasing: "Erasing it. That takes up to two minutes.",
      writing: "Writing the firmware.",
      checking: "Reading back what was written.",
      starting: "It is the same. Waiting for the first start, a minute at most.",
      asking: "Asking the bridge for its label.",
    },
    percent: (part: number) => `${Math.floor(100 * part)} %`,
    againTitle: "Choose the board once more",
    againWords: "It has started anew, and to this computer it is another USB device now.",
    again: "Choose the board",
    doneTitle: "Your bridge is ready",
    toldTitle: "The label of your bridge",
    written: "The firmware was written, and read back: it is the same. It runs.",
    restarted: "The bridge starts anew: music pauses, phones stay paired.",
    firstOwner: "This code is for the first owner: print it, or write it down. Keep it as you keep a key.",
    hasOwner: (phones: number) =>
      `It knows ${phones} phone${phones === 1 ? "" : "s"} already, and has an owner: nothing of that was changed. With the button pressed its label lets guests in; owners invite phones.`,
    label: (bridge: string) => `Label of bridge ${bridge}`,
    labelName: "Speakeasy",
    labelBridge: (bridge: string) => `bridge ${bridge}`,
    labelScan: "power it, then scan this",
    labelType: "power it, then type this",
    labelKeep: "Keep this as you keep a key.",
    code: "Setup code",
    pair: "Pair it now",
    print: "Print the label",
    another: "Another board",
    troubleTitle: "That did not work",
    oneMore: "Try again",
    trouble: {
      "nobody-chosen": () => ({
        what: "No board was chosen",
        next: "Nothing was written. Was the list empty? Take a cable that carries data: many only charge. The next time the list shows all that is plugged in.",
      }),
      "not-opened": ({ linux }) => ({
        what: "The board's port could not be opened",
        next:
          "Another program or page uses it: end that, a serial monitor for example, and try again." +
          (linux
            ? " Or you may not use it. On Debian and Ubuntu type “sudo adduser $USER dialout”, log out and in again."
            : ""),
      }),
      "no-answer": () => ({
        what: "No ESP32 answered there",
        next: "Nothing was written. Hold the board's BOOT button, press and let go RESET, let go BOOT, and try again. Is there another board or modem in the list? Choose the right one.",
      }),
      "wrong-chip": ({ found = "", wanted = "" }) => ({
        what: `The chip on this board is an ${found}, and this firmware is for the ${wanted}`,
        next: "Nothing was written. Choose the firmware for the board that you have, or the other board.",
      }),
      "unknown-chip": () => ({
        what: "The chip on this board is none that Speakeasy runs on",
        next: "Nothing was written. Take a board with an ESP32, ESP32-S3, ESP32-C3 or ESP32-C6.",
      }),
      locked: () => ({
        what: "This chip was locked by whoever had it before, for good",
        next: "Nothing was written. It is in secure download mode: take another board.",
      }),
      "unknown-flash": () => ({
        what: "The size of this board's flash is not known",
        next: "Nothing was written. The memory does not answer, or is of an unknown kind: take another board.",
      }),
      "too-small": ({ has = 0, needs = 0 }) => ({
        what: `This board has ${megabytes(has)} of flash, and this firmware needs ${megabytes(needs)}`,
        next: "Nothing was written. Choose a firmware for less flash, or another board.",
      }),
      "stopped-answering": () => ({
        what: "The chip stopped answering",
        next: "Nothing was written. Try again, with another cable or USB port.",
      }),
      pulled: () => ({
        what: "The board went away",
        next: "Nothing was written. Plug it in again, see that the cable sits firmly, and try again.",
      }),
      "pulled-writing": () => ({
        what: "The cable was pulled while the firmware was written",
        next: "The firmware on the board is not whole now: plug it in and flash it again. If it was a bridge, its label, phones and networks are elsewhere in its flash, and stay.",
      }),
      "pulled-erased": () => ({
        what: "The cable was pulled while the board was erased and written",
        next: "It is neither erased nor whole now: plug it in and do the same again, with “Make it a new bridge” ticked.",
      }),
      "not-written": ({ why }) => ({
        what: "Writing failed",
        next: `${reason(why)}The firmware on the board is not whole now: flash it again. If it was a bridge, its label, phones and networks are elsewhere in its flash, and stay. If that fails, too: another cable, or another USB port.`,
      }),
      "not-written-erased": ({ why }) => ({
        what: "Writing failed",
        next: `${reason(why)}The board is neither erased nor whole now: do the same again, with “Make it a new bridge” ticked. If that fails, too: another cable, or another USB port.`,
      }),
      gone: () => ({
        what: "The board went away after its start",
        next: "Plug it in again, and choose “Only show the label of a bridge”.",
      }),
      silent: () => ({
        what: "The firmware was written, but says nothing",
        next: "Press the board's RESET button, then choose “Only show the label of a bridge”.",
      }),
      "not-starting": ({ said = "" }) => ({
        what: "The firmware was written, but does not start",
        next: `Flash it again with “Make it a new bridge” ticked: that removes what an earlier one left. The last that the board said: ${said}`,
      }),
      "used-before": () => ({
        what: "The board was used for something else before",
        next: "The firmware was written, but the files on the board are no good. Flash it again with “Make it a new bridge” ticked, which removes what was left.",
      }),
      "no-label": () => ({
        what: "The board does not tell its label",
        next: "Is Speakeasy on it? Press its RESET button and try again, or flash it.",
      }),
      "not-firmware": () => ({
        what: "That file is no firmware",
        next: "Choose firmware.bin, which “make firmware” makes in build/BOARD.",
      }),
      "part-of-firmware": () => ({
        what: "That file is only a part of a firmware",
        next: "Choose firmware.bin, the whole of it: “make firmware” makes it in build/BOARD.",
      }),
      cut: () => ({
        what: "That firmware is not whole",
        next: "The file was cut, or changed, on its way: copy or build it again.",
      }),
      "other-chip": () => ({
        what: "That firmware is for a chip that Speakeasy does not run on",
        next: "Choose the firmware.bin of an ESP32, ESP32-S3, ESP32-C3 or ESP32-C6.",
      }),
      "not-loaded": () => ({
        what: "The firmware could not be fetched",
        next: "Nothing was written. It is kept where this page comes from: are you online? Try again, or choose a file.",
      }),
      changed: () => ({
        what: "The firmware is not what its list says",
        next: "Nothing was written. Whoever keeps this page has to put it right: choose a file of your own meanwhile.",
      }),
    } satisfies Record<FlashTroubleKind, (facts: FlashFacts & { linux: boolean }) => Words>,
  },
} as const;
