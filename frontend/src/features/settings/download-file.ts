import { authorizedFetch } from "@/api/session";

/** A file that needs the token cannot be a plain link. */
export async function downloadFile(path: string, name: string) {
  const response = await authorizedFetch(new Request(path));
  if (!response.ok) throw new Error(String(response.status));
  const address = URL.createObjectURL(await response.blob());
  const link = Object.assign(document.createElement("a"), { href: address, download: name });
  link.click();
  URL.revokeObjectURL(address);
}
