/** Flashing a board from the browser: a chunk of its own, loaded when asked for. */
export { Flash } from "./flash.tsx";
