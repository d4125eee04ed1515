/** Fetches every page of a list, for lists that the browser searches itself. */
export async function allPages<Row>(
  fetchPage: (cursor: string | undefined) => Promise<{ results: Row[]; next?: string | null }>,
): Promise<{ results: Row[] }> {
  const results: Row[] = [];
  let cursor: string | undefined;
  do {
    const page = await fetchPage(cursor);
    results.push(...page.results);
    cursor = page.next ?? undefined;
  } while (cursor);
  return { results };
}
