import { useMemo, useState } from "react";

export interface Selection {
  ids: ReadonlySet<string>;
  /** Selects or deselects a pipeline. With `range`, all from the last one to this one become as this one. */
  toggle: (id: string, options?: { range?: boolean; value?: boolean }) => void;
  setAll: (selected: boolean) => void;
}

/** The selected pipelines, of those that can be selected, in the order of the list. Others are not selected any more. */
export function useSelection(selectable: string[]): Selection {
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [anchor, setAnchor] = useState<string | null>(null);
  const ids = useMemo(
    () => (chosen.size === 0 ? chosen : new Set(selectable.filter((id) => chosen.has(id)))),
    [chosen, selectable],
  );
  function toggle(id: string, { range = false, value = !ids.has(id) } = {}) {
    const [start, end] = [anchor, id].map((edge) => (edge === null ? -1 : selectable.indexOf(edge)));
    const isRange = range && start! >= 0 && end! >= 0;
    const changed = isRange ? selectable.slice(Math.min(start!, end!), Math.max(start!, end!) + 1) : [id];
    const next = new Set(ids);
    for (const one of changed) {
      if (value) next.add(one);
      else next.delete(one);
    }
    setChosen(next);
    setAnchor(id);
  }
  return { ids, toggle, setAll: (selected) => setChosen(new Set(selected ? selectable : [])) };
}
