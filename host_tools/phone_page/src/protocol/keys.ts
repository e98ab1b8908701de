/** Keys as WebCrypto holds them. None that is made here can be read out again. */
import type { Bytes } from "./bytes.ts";
import { Trouble } from "./types.ts";

const HMAC = { name: "HMAC", hash: "SHA-256" } as const;

/** WebCrypto, which browsers give to secure contexts alone. Throws Trouble `no-crypto`. */
export function subtle(): SubtleCrypto {
  const found = (globalThis.crypto as Crypto | undefined)?.subtle as SubtleCrypto | undefined;
  if (!found) throw new Trouble("no-crypto");
  return found;
}

/** A key of HMAC-SHA256. The bytes stay the caller's. */
export const importHmac = (bytes: Bytes): Promise<CryptoKey> =>
  subtle().importKey("raw", bytes, HMAC, false, ["sign", "verify"]);

/** A setup code, a phone key or an invite's secret (16 or 32 bytes) for a Credential. The bytes are zeros afterwards. */
export async function importSecret(bytes: Bytes): Promise<CryptoKey> {
  try {
    return await importHmac(bytes);
  } finally {
    bytes.fill(0);
  }
}

/** A phone key (32 bytes) twice: for sessions, and for claims (SPEC 3). The bytes are zeros afterwards. */
export async function importPhoneKey(bytes: Bytes): Promise<{ sessionKey: CryptoKey; claimKey: CryptoKey }> {
  try {
    return {
      sessionKey: await importHmac(bytes),
      claimKey: await subtle().importKey("raw", bytes, "HKDF", false, ["deriveKey"]),
    };
  } finally {
    bytes.fill(0);
  }
}

export const hmac = async (key: CryptoKey, data: Bytes): Promise<Bytes> =>
  new Uint8Array(await subtle().sign("HMAC", key, data));

export const sha256 = async (data: Bytes): Promise<Bytes> => new Uint8Array(await subtle().digest("SHA-256", data));
