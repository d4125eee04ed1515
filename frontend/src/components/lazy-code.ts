/** Code that is loaded when it is needed. Loading fails without a network, and if a new release has replaced the files. */

const RELOADED_KEY = "drover.reloaded-release";

/** Code of a page could not be loaded. */
export class CodeNotLoaded extends Error {
  constructor() {
    super("The code of this page could not be loaded.");
    this.name = "CodeNotLoaded";
  }
}

/** Returns a function that calls `load` and throws CodeNotLoaded if it fails. */
export function loadCode<Module>(load: () => Promise<Module>): () => Promise<Module> {
  return () =>
    load().catch(() => {
      throw new CodeNotLoaded();
    });
}

export type LoadFailure = "offline" | "new-release" | "unknown";

/** Finds out why code could not be loaded: each release has another start script in its HTML page. */
export async function findLoadFailure(): Promise<LoadFailure> {
  const script = startScript();
  try {
    const response = await fetch("/", { cache: "no-store", headers: { Accept: "text/html" } });
    if (!response.ok || !script) return "unknown";
    return (await response.text()).includes(script) ? "unknown" : "new-release";
  } catch {
    return "offline";
  }
}

/** Reloads the page, but only once per release: a cache may still answer with the old page. Returns whether it reloads. */
export function reloadOnce(reload: () => void): boolean {
  const script = startScript() ?? "";
  if (sessionStorage.getItem(RELOADED_KEY) === script) return false;
  sessionStorage.setItem(RELOADED_KEY, script);
  reload();
  return true;
}

function startScript(): string | null {
  return document.querySelector('script[type="module"][src]')?.getAttribute("src") ?? null;
}
