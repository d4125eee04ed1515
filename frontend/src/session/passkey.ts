/** The browser's part of WebAuthn: create passkeys, and log in with them. */

interface PasskeyChallenge {
  challenge: string;
  options: Record<string, unknown>;
}

/** Whether the browser supports passkeys and this page was loaded over https or from localhost. */
export function supportsPasskeys(): boolean {
  return (
    "PublicKeyCredential" in globalThis &&
    "parseRequestOptionsFromJSON" in PublicKeyCredential &&
    globalThis.isSecureContext
  );
}

export async function signWithPasskey({ challenge, options }: PasskeyChallenge) {
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(
    options.publicKey as PublicKeyCredentialRequestOptionsJSON,
  );
  return { challenge, credential: toJson(await navigator.credentials.get({ publicKey })) };
}

export async function createPasskey({ challenge, options }: PasskeyChallenge) {
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(
    options.publicKey as PublicKeyCredentialCreationOptionsJSON,
  );
  return { challenge, credential: toJson(await navigator.credentials.create({ publicKey })) };
}

function toJson(credential: Credential | null): Record<string, unknown> {
  if (credential === null) throw new DOMException("No passkey was chosen.", "NotAllowedError");
  return (credential as PublicKeyCredential).toJSON() as unknown as Record<string, unknown>;
}

/** Whether the user or the browser cancelled the request. */
export function wasCancelled(error: unknown): boolean {
  return error instanceof DOMException && ["NotAllowedError", "AbortError"].includes(error.name);
}
