import { readFileSync } from "node:fs";
import { basename } from "node:path";
import type { Plugin } from "vite";

/** Those of our boards (boards/*), by esptool-js' names of their files. */
const OURS = ["esp32", "esp32s3", "esp32c3", "esp32c6"];
const LOADER = /\/stub_flasher\/([a-z0-9-]+)\.json$/;
const NO_LOADER = "\0no-loader";
const PLACE = /\/esptool-js\/lib\/(.+)$/;

/**
 * esptool-js without what this page has no use for: of other chips their names are left, which are all that is said of
 * them; images are never rewritten.
 */
export function onlyOurChips(): Plugin {
  return {
    name: "only-our-chips",
    enforce: "pre",
    resolveId(source) {
      const chip = LOADER.exec(source)?.[1];
      return chip && !OURS.includes(chip) ? NO_LOADER : null;
    },
    load(id) {
      if (id === NO_LOADER) return 'throw new Error("Speakeasy does not run on this chip.");';
      const path = PLACE.exec(id.split("?")[0]!)?.[1];
      if (path === undefined) return null;
      const name = basename(path).replace(/\.js$/, "");
      if (path === "image/index.js") {
        return 'export const loadFirmwareImage = () => { throw new Error("Images are written as they are."); };';
      }
      if (name.startsWith("esp") && path === `targets/${name}.js` && !OURS.includes(name)) {
        const source = readFileSync(id, "utf-8");
        const facts = source.match(/this\.(CHIP_NAME|IMAGE_CHIP_ID|USES_MAGIC_VALUE) = [^;]+;/g) ?? [];
        const exported = /export class (\w+)/.exec(source);
        if (!exported || !facts.some((fact) => fact.includes("CHIP_NAME"))) this.error(`${path} is not as it was.`);
        return `export class ${exported![1]} { constructor() { ${facts.join(" ")} } }`;
      }
      return null;
    },
  };
}
