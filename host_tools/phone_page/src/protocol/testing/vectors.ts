/** For tests: the project's test vectors (docs/SPEC.md, "Test vectors"). Bytes are in hex. */
import { readFileSync } from "node:fs";

type Record = { sequence: number; plain: string; message: string };
type Claim = { phone_key: string; key: string; bridge: string; phone: string; challenge: string; answer: string };
interface Vectors {
  codes: { what: string; bytes: string; text: string }[];
  lenient_codes: { what: string; text: string; bytes: string }[];
  bad_codes: { what: string; kind: "setup" | "invite"; text: string; reason: string }[];
  fragments: { mtu: number; message: string; fragments: string[] }[];
  bad_fragments: { what: string; fragments: string[] }[];
  handshakes: {
    what: string;
    mode: 1 | 2 | 3;
    key_id: string;
    secret: string;
    phone_nonce: string;
    phone_private: string;
    bridge_id: string;
    shared: string;
    hello: string;
    h: string;
    p: string;
    k: string;
    challenge: string;
    proof: string;
    accept: string;
    phone_to_bridge: Record[];
    bridge_to_phone: Record[];
  }[];
  bad_hellos: { what: string; hello: string; code: number }[];
  claims: (Claim & { addr: string; mac: string; proof: string; lease_s: number })[];
  opens: (Claim & { proof: string; open_s: number })[];
}

const FILE = new URL("../../../../../tests/vectors/pairing.json", import.meta.url);
export const vectors = JSON.parse(readFileSync(FILE, "utf8")) as Vectors;
