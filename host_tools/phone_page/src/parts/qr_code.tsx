import { useMemo } from "preact/hooks";
import { encode } from "uqr";

/** Modules around a code that stay light: readers need four (ISO/IEC 18004). */
const QUIET = 4;

/** A QR code, dark on light whatever the colours of the page are: many readers take no other. */
export function QrCode({ text, label }: { text: string; label: string }) {
  const { size, path } = useMemo(() => {
    const code = encode(text, { ecc: "M", border: 0 });
    let path = "";
    code.data.forEach((row, y) =>
      row.forEach((dark, x) => {
        if (dark) path += `M${x + QUIET} ${y + QUIET}h1v1h-1z`;
      }),
    );
    return { size: code.size + 2 * QUIET, path };
  }, [text]);
  return (
    <svg class="qr" viewBox={`0 0 ${size} ${size}`} role="img" aria-label={label} shape-rendering="crispEdges">
      <rect width={size} height={size} fill="#fff" />
      <path d={path} fill="#000" />
    </svg>
  );
}
