import { useQuery } from "@tanstack/react-query";
import { catalogueQuery, type Role } from "./queries";

/** Returns a function that names a kind as the catalogue does, such as `PostgreSQL` for `postgres`. */
export function useKindName(): (role: Role, kind: string) => string {
  const sources = useQuery(catalogueQuery("source")).data;
  const destinations = useQuery(catalogueQuery("destination")).data;
  return (role, kind) => {
    const catalogue = role === "source" ? sources : destinations;
    const entry = catalogue?.results.find((candidate) => candidate.kind === kind);
    return entry?.name ?? (kind.startsWith("custom-") ? "Custom source" : kind);
  };
}
