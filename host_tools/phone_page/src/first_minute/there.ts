import { useEffect, useRef } from "preact/hooks";

/** Whether the component is still on the screen: for what ends later than a person stays. */
export function useThere(): { readonly current: boolean } {
  const there = useRef(true);
  useEffect(
    () => () => {
      there.current = false;
    },
    [],
  );
  return there;
}
