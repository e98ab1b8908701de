/** The chips of our boards (boards/), by ESP-IDF's names: the id in an image's header, the name that the loader gives, where the bootloader goes. */
export const CHIPS = {
  esp32: { id: 0, name: "ESP32", offset: 0x1000 },
  esp32s3: { id: 9, name: "ESP32-S3", offset: 0 },
  esp32c3: { id: 5, name: "ESP32-C3", offset: 0 },
  esp32c6: { id: 13, name: "ESP32-C6", offset: 0 },
} as const;

export type Chip = keyof typeof CHIPS;

export const isChip = (name: unknown): name is Chip => typeof name === "string" && Object.hasOwn(CHIPS, name);
