/** The error messages of a log-in through an identity provider, by the code in `/login?problem=`. */
const MESSAGES: Record<string, string> = {
  provider_unknown: "This identity provider does not exist. Check the organization's short name.",
  provider_failed:
    "The identity provider did not respond correctly. Try again. If the error persists, ask your admin.",
  cancelled: "The log-in was cancelled at the identity provider. Try again.",
  email_missing:
    "The identity provider did not send your e-mail address. Allow it to share the address, or log in another way.",
  email_not_verified:
    "The identity provider has not confirmed your e-mail address. Confirm it there, then try again.",
  link_first:
    "An account with your e-mail address already exists. Log in with its password, then link the identity provider under Settings, Account.",
  account_disabled: "This account is disabled. Contact the operator of this Drover installation.",
  consent_needed:
    "Confirm that you want to join the organization: open the link in the e-mail we sent you. If no e-mail arrives, ask an admin of the organization to invite you again.",
  confirm_first:
    "An account with your e-mail address exists, but the address was never confirmed. Set a new password with “Forgot your password?”, then open the invitation again.",
  too_many_attempts: "Too many attempts. Wait a few minutes, then try again.",
  not_a_member: "You are not a member of this organization. Ask one of its admins for an invitation.",
  address_not_allowed:
    "This organization accepts only e-mail addresses in its own domains. Log in with one of them.",
  linked_elsewhere:
    "This identity is linked to another account. Log in to that account, or unlink the identity there first.",
  member_linked:
    "Your account in this organization is linked to another identity. Log in with that identity, or ask an admin of the organization for help.",
  linking_expired:
    "The provider was not linked, because your session ended or your account changed. Log in, then link it again under Settings, Account.",
  link_spent: "The invitation has already been used or has expired. Ask for a new one.",
  other_address:
    "The invitation is for another e-mail address. Log in with that address, or ask for a new invitation.",
  limit_reached:
    "The organization has reached its limit of members. Ask one of its admins to raise the limit.",
  org_suspended: "This organization is suspended. Contact the operator of this Drover installation.",
  org_deleting: "This organization is scheduled for deletion. One of its owners can restore it.",
};

export function providerMessage(code: string | undefined): string | null {
  if (!code) return null;
  return (
    MESSAGES[code] ?? "The log-in through the identity provider failed. Try again, or log in another way."
  );
}
