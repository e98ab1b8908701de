/** The icons: strokes on a field of 24 by 24, drawn here; the colour is the text's. They say nothing to a screen reader. */
const STROKES = {
  alert: "M12 8v5m0 3.5v.1M10.3 4.2 2.6 17.5A2 2 0 0 0 4.3 20.5h15.4a2 2 0 0 0 1.7-3L13.7 4.2a2 2 0 0 0-3.4 0Z",
  back: "m14.5 5.5-6.5 6.5 6.5 6.5",
  bluetooth: "m7 7.5 10 9L12 21V3l5 4.5-10 9",
  bridge: "M4 9h16v9a2 2 0 0 1-2 2H6a2 2 0 0 1-2-2Zm4 5.5v.1m4-.1v.1M9 9V4m6 5V6",
  cable: "M5 4h14v9h-3v4h-2v3h-4v-3H8v-4H5Zm4 0v4m3-4v4m3-4v4",
  chart: "M4 20h16M7 16v-4m5 4V6m5 10V9",
  check: "m5 12.5 4.5 4.5L19 7.5",
  close: "m6 6 12 12M18 6 6 18",
  copy: "M9 9h10v10a1.5 1.5 0 0 1-1.5 1.5h-7A1.5 1.5 0 0 1 9 19Zm-3 6H5V5a1.5 1.5 0 0 1 1.5-1.5H15V6",
  hide: "M4 4l16 16M9.5 6a9.6 9.6 0 0 1 2.5-.4c5.5 0 9 6.4 9 6.4a15 15 0 0 1-2.7 3.4M6.2 7.6A15.5 15.5 0 0 0 3 12s3.5 6.4 9 6.4a9 9 0 0 0 4-1M10 10a3 3 0 0 0 4 4.2",
  info: "M12 11v6m0-9.6v.1M21 12a9 9 0 1 1-18 0 9 9 0 0 1 18 0Z",
  key: "M14 10.5a4 4 0 1 1-8 0 4 4 0 0 1 8 0Zm-1.2 2.8L20 20.5m-3.5-3.5 2-2",
  lock: "M6.5 11h11v9h-11Zm2-.500V8a3.5 3.5 0 0 1 7 0v2.5",
  next: "m9.5 5.5 6.5 6.5-6.5 6.5",
  people:
    "M12 11a3.5 3.5 0 1 0-7 0 3.5 3.5 0 0 0 7 0Zm-9.5 9c0-3.2 2.5-5 6-5s6 1.8 6 5m0-12.5a3.5 3.5 0 0 1 1 6.9c3.3 0 6 1.9 6 5.6",
  phone: "M8 2.5h8A1.5 1.5 0 0 1 17.5 4v16a1.5 1.5 0 0 1-1.5 1.5H8A1.5 1.5 0 0 1 6.5 20V4A1.5 1.5 0 0 1 8 2.5Zm3 16h2",
  play: "M8 5.5v13l11-6.5Z",
  plus: "M12 5v14M5 12h14",
  refresh: "M19.5 12a7.5 7.5 0 1 1-2.2-5.3L20 9.4M20 4v5.4h-5.4",
  settings:
    "M4 7h9m4 0h3M4 17h3m4 0h9M15 9.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5Zm-6 10a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5Z",
  shield: "M12 3 5 5.5v5.7c0 4.3 2.8 7.7 7 9.3 4.2-1.6 7-5 7-9.3V5.5Z",
  show: "M3 12s3.5-6.4 9-6.4 9 6.4 9 6.4-3.5 6.4-9 6.4S3 12 3 12Zm12 0a3 3 0 1 1-6 0 3 3 0 0 1 6 0Z",
  speaker:
    "M7.5 3h9A1.5 1.5 0 0 1 18 4.5v15a1.5 1.5 0 0 1-1.5 1.5h-9A1.5 1.5 0 0 1 6 19.5v-15A1.5 1.5 0 0 1 7.5 3ZM12 7.5v.1M15 14.5a3 3 0 1 1-6 0 3 3 0 0 1 6 0Z",
  trash: "M4.5 7h15m-10-.500V4h5v2.5M6.5 7l1 13h9l1-13M10.5 11v5m3-5v5",
} as const;

export type IconName = keyof typeof STROKES;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={STROKES[name]} />
    </svg>
  );
}

/** Page and bridge: a speaker that is a door with a peephole. */
export function Mark() {
  return (
    <svg class="mark" viewBox="0 0 48 48" aria-hidden="true" focusable="false">
      <rect class="mark-ground" width="48" height="48" rx="12" />
      <path class="mark-door" d="M14 39V20a10 10 0 0 1 20 0v19Z" />
      <path class="mark-hole" d="M20.5 19.5h7" />
      <circle class="mark-cone" cx="24" cy="29.5" r="5" />
    </svg>
  );
}

/** Four bars, of which `level` (0 to 4) are full. */
export function Bars({ level }: { level: number }) {
  return (
    <svg class="icon bars" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      {[1, 2, 3, 4].map((n) => (
        <rect
          key={n}
          class={n <= level ? "full" : "faint"}
          x={n * 5 - 2}
          y={20 - n * 4}
          width="3.5"
          height={n * 4}
          rx="1"
        />
      ))}
    </svg>
  );
}

export function Spinner() {
  return (
    <svg class="icon spinner" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <circle class="faint" cx="12" cy="12" r="9" />
      <path d="M21 12a9 9 0 0 0-9-9" />
    </svg>
  );
}
