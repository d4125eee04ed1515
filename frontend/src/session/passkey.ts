/** The browser's part of a passkey log-in. Options and answers are the JSON of the WebAuthn standard. */

interface Begun {
  challenge: string;
  options: Record<string, unknown>;
}

/** Whether passkeys can be used here: they need a browser that knows them, and https or localhost. */
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

/** Whether the person or the browser cancelled. */
export function wasCancelled(error: unknown): boolean {
  return error instanceof DOMException && ["NotAllowedError", "AbortError"].includes(error.name);
}
