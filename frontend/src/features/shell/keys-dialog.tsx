import { useEffect, useId, useRef } from "react";
import { Button } from "@/components/button";
import { useHasPermissionSomewhere } from "@/session/use-session";
import { OTHER_KEYS, PAGES } from "./keys";
import { openOverlay } from "./overlays";

/** Lists all keyboard shortcuts. */
export function KeysDialog() {
  const dialog = useRef<HTMLDialogElement>(null);
  const titleId = useId();
  const canUseAgent = useHasPermissionSomewhere("agent.use");
  useEffect(() => dialog.current?.showModal(), []);
  const pages = PAGES.filter(({ permission }) => permission !== "agent.use" || canUseAgent);
  const rows = [
    ...OTHER_KEYS,
    ...pages.map(({ key, label }) => ({ keys: [`g ${key}`], label: `Go to ${label}` })),
  ];
  return (
    <dialog
      ref={dialog}
      aria-labelledby={titleId}
      onClose={() => openOverlay(null)}
      onClick={(event) => event.target === dialog.current && openOverlay(null)}
      className="m-auto w-[min(28rem,calc(100vw-2rem))] rounded-card border border-line bg-raised p-5 text-ink shadow-float backdrop:bg-black/40"
    >
      <h2 id={titleId} className="mb-3 text-base font-semibold">
        Keys
      </h2>
      <dl className="grid grid-cols-[auto_1fr] gap-x-4 gap-y-1.5">
        {rows.map(({ keys, label }) => (
          <div key={label} className="contents">
            <dt className="flex gap-1.5">
              {keys.map((key) => (
                <kbd
                  key={key}
                  className="rounded border border-line bg-hover px-1.5 font-mono text-xs leading-5"
                >
                  {key}
                </kbd>
              ))}
            </dt>
            <dd className="text-soft">{label}</dd>
          </div>
        ))}
      </dl>
      <div className="mt-4 flex justify-end">
        <Button onClick={() => openOverlay(null)}>Close</Button>
      </div>
    </dialog>
  );
}
