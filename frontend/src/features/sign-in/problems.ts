/** What a log-in through an identity provider may end with, by the code in `/login?problem=`. */
const PROBLEMS: Record<string, string> = {
  provider_unknown: "There is no such identity provider here. Check the organization's short name.",
  provider_failed: "The identity provider could not be used. Try again; if it stays, ask your admin.",
  cancelled: "You were not logged in: the identity provider says you gave up.",
  email_missing: "The identity provider did not say which e-mail address is yours.",
  email_not_verified: "The identity provider has not confirmed your e-mail address.",
  link_first:
    "There is an account with your address. Log in with its password, then link the provider under Settings.",
  account_disabled: "This account is switched off. Ask whoever runs this installation.",
  consent_needed:
    "The organization wants you in, and asks you first: open the link in the mail we have sent to your address. If none comes, ask one of its admins to invite you again.",
  confirm_first:
    "Somebody made an account with your address and never confirmed it. Set a new password for it with “Forgot password”, then open the invitation again.",
  too_many_attempts: "Too much was tried. Wait a while, then try again.",
  not_a_member: "You are not a member of this organization. Ask one of its admins for an invitation.",
  address_not_allowed: "This organization takes only addresses of its own domains.",
  linked_elsewhere: "This identity belongs to another account.",
  link_spent: "The invitation was used already or has expired. Ask for a new one.",
  other_address: "The invitation is for another address.",
  limit_reached: "The organization has as many members as it may. Ask one of its admins.",
  org_suspended: "This organization is suspended.",
  org_deleting: "This organization is about to be deleted.",
};

export function providerProblem(code: string | undefined): string | null {
  if (!code) return null;
  return PROBLEMS[code] ?? "You could not be logged in through the identity provider.";
}
