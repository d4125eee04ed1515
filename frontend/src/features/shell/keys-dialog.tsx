import { Button } from "@/components/button";
import { Dialog } from "@/components/dialog";
import { usePermissionsSomewhere } from "@/session/use-session";
import { mayOpen, OTHER_KEYS, PAGES } from "./keys";
import { openOverlay } from "./overlays";

/** Lists all keyboard shortcuts. */
export function KeysDialog() {
  const permissions = usePermissionsSomewhere();
  const pages = PAGES.filter((page) => mayOpen(page, permissions));
  const rows = [
    ...OTHER_KEYS,
    ...pages.map(({ key, label }) => ({ keys: [`g ${key}`], label: `Go to ${label}` })),
  ];
  return (
    <Dialog title="Keys" width="w-md" onClose={() => openOverlay(null)}>
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
      <div className="mt-1 flex justify-end">
        <Button onClick={() => openOverlay(null)}>Close</Button>
      </div>
    </Dialog>
  );
}
