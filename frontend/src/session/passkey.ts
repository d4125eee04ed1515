/** The browser's half of a passkey ceremony; the server's options and answers are WebAuthn's own JSON. */

interface Begun {
  challenge: string;
  options: Record<string, unknown>;
}

/** Whether this browser can do it here: it needs https, or localhost. */
export function passkeysWork(): boolean {
  return (
    "PublicKeyCredential" in globalThis &&
    "parseRequestOptionsFromJSON" in PublicKeyCredential &&
    globalThis.isSecureContext
  );
}

export async function showPasskey({ challenge, options }: Begun) {
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(
    options.publicKey as PublicKeyCredentialRequestOptionsJSON,
  );
  return { challenge, credential: plain(await navigator.credentials.get({ publicKey })) };
}

export async function makePasskey({ challenge, options }: Begun) {
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(
    options.publicKey as PublicKeyCredentialCreationOptionsJSON,
  );
  return { challenge, credential: plain(await navigator.credentials.create({ publicKey })) };
}

function plain(credential: Credential | null): Record<string, unknown> {
  if (credential === null) throw new DOMException("Nothing was chosen.", "NotAllowedError");
  return (credential as PublicKeyCredential).toJSON() as unknown as Record<string, unknown>;
}

/** Said when the person, or the browser, gave the ceremony up. */
export function gaveUp(error: unknown): boolean {
  return error instanceof DOMException && ["NotAllowedError", "AbortError"].includes(error.name);
}
