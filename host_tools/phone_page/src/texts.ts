/** Every text that a person reads on this page, in English. A text with values in it is a function. */
export const texts = {
  name: "Speakeasy",
} as const;
