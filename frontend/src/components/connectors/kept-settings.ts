import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import type { CatalogueEntry } from "@/api/types";
import type { Config } from "@/components/schema-form/schema";
import { useKept, type Kept } from "@/components/use-kept";
import { catalogueQuery, type Role } from "./queries";

/** What was typed about a connector that is not saved yet, without its secrets. */
export interface KeptSettings {
  kind: string;
  config: Config;
  name: string | null;
}

/** The form in which the connector is made. Each keeps its own settings. */
export type ConnectorForm = `${"new-pipeline" | "new-connector"}.${Role}`;

/** The kind of connector that the user has chosen in this form. A reload of the page does not change it. */
export function useChosenKind(role: Role, form: ConnectorForm) {
  const kept: Kept<KeptSettings> = useKept(form);
  const { data: catalogue } = useQuery(catalogueQuery(role));
  const [kind, setKind] = useState(() => kept.read()?.kind ?? null);
  return {
    entry: catalogue?.results.find((candidate) => candidate.kind === kind) ?? null,
    choose: (entry: CatalogueEntry | null) => {
      kept.forget();
      setKind(entry?.kind ?? null);
    },
  };
}
