import type { QueryClient, QueryKey } from "@tanstack/react-query";

interface Deletion {
  /** The key of the deleted object. The keys of everything that belongs to the object begin with it. */
  deleted: QueryKey;
  /** The key of what is fetched again, such as the list that contained the object. */
  refreshed: QueryKey;
  /** Leaves the page that shows the object. */
  leavePage?: () => Promise<void>;
}

/**
 * Removes a deleted object from the cache, then fetches its lists again. A page that shows the object is left first:
 * it would otherwise fetch the object again, and the server would answer 404.
 */
export async function forgetDeleted(client: QueryClient, { deleted, refreshed, leavePage }: Deletion) {
  await leavePage?.();
  client.removeQueries({ queryKey: deleted });
  await client.invalidateQueries({ queryKey: refreshed });
}
