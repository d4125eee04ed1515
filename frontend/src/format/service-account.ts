/** Whether the address belongs to a service account, so that it is only a placeholder. */
export function isPlaceholder(address: string): boolean {
  return address.endsWith("@service.invalid");
}
