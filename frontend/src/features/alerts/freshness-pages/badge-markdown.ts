/** A badge that leads to the page, as Markdown for a README. */
export function badgeMarkdown(name: string, badgeUrl: string, pageUrl: string): string {
  const alternative = `Freshness of ${name}`.replace(/[[\]\\`]/g, "\\$&");
  return `[![${alternative}](${badgeUrl})](${pageUrl})`;
}
