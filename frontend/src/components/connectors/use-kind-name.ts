import { useQuery } from "@tanstack/react-query";
import { nameInWords } from "@/format/name";
import { catalogueQuery, type Role } from "./queries";

/** The name of a kind that the catalogue does not list: it is not loaded yet, or does not have the kind any more. */
export function unlistedKind(kind: string): string {
  return kind.startsWith("custom-") ? "Custom source" : nameInWords(kind);
}

/** Returns a function that names a kind as the catalogue does, such as `PostgreSQL` for `postgres`. Without a role it searches both catalogues. */
export function useKindName(): (role: Role | null, kind: string) => string {
  const sources = useQuery(catalogueQuery("source")).data;
  const destinations = useQuery(catalogueQuery("destination")).data;
  return (role, kind) => {
    const entries = [
      ...(role === "destination" ? [] : (sources?.results ?? [])),
      ...(role === "source" ? [] : (destinations?.results ?? [])),
    ];
    return entries.find((candidate) => candidate.kind === kind)?.name ?? unlistedKind(kind);
  };
}
