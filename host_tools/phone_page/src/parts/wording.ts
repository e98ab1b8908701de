/**
 * How texts look, wherever they stand: "Wi-Fi" is not broken after its hyphen, and what texts.ts marks as somebody's `named` is isolated, so
 * that a name in Arabic, or one made to do so, does not turn the words around it. No letter changes: neither what is copied, nor what is read out.
 */
import { type ComponentChildren, h, options } from "preact";

const PIECES = /(Wi-Fi|\u2068[^\u2069]*\u2069)/;

function dress(children: ComponentChildren): ComponentChildren {
  if (Array.isArray(children)) return children.map(dress);
  if (typeof children !== "string" || !PIECES.test(children)) return children;
  return children.split(PIECES).map((piece) => {
    if (piece === "Wi-Fi") return h("span", { class: "whole" }, piece);
    return piece.startsWith("\u2068") ? h("bdi", null, piece.slice(1, -1)) : piece;
  });
}

/** From now on, for all that is rendered. */
export function dressTexts(): void {
  const before = options.vnode;
  options.vnode = (vnode) => {
    const props = vnode.props as { class?: string; children?: ComponentChildren };
    // Not in drawings: their texts have no elements inside.
    if (typeof vnode.type === "string" && vnode.type !== "text" && props.class !== "whole")
      props.children = dress(props.children);
    before?.(vnode);
  };
}
