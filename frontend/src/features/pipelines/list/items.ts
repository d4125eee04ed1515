import type { PipelineRow } from "@/api/types";
import type { Grouping } from "./filter";

/** A line of the list: the heading of a group, or a pipeline. A pipeline with several tags is in several groups. */
export type Item =
  | { kind: "heading"; key: string; group: string; label: string; count: number; isClosed: boolean }
  | { kind: "pipeline"; key: string; row: PipelineRow };

/** Names the kinds of sources and destinations for people. */
export type KindName = (role: "source" | "destination", kind: string) => string;

/** Returns the lines of the list. `rows` keep their order inside each group; groups are in the order of their names. */
export function listItems(
  rows: PipelineRow[],
  grouping: Grouping | undefined,
  closed: ReadonlySet<string>,
  kindName: KindName,
): Item[] {
  if (!grouping) return rows.map((row) => ({ kind: "pipeline", key: row.id, row }));
  const groups = new Map<string, { label: string; rows: PipelineRow[] }>();
  for (const row of rows) {
    for (const { group, label } of groupsOf(row, grouping, kindName)) {
      const found = groups.get(group) ?? { label, rows: [] };
      groups.set(group, found);
      found.rows.push(row);
    }
  }
  const sorted = [...groups].sort(([one, { label }], [other, { label: otherLabel }]) =>
    one === "" ? 1 : other === "" ? -1 : label.localeCompare(otherLabel),
  );
  return sorted.flatMap(([group, { label, rows: members }]): Item[] => {
    const isClosed = closed.has(group);
    return [
      { kind: "heading", key: `group ${group}`, group, label, count: members.length, isClosed },
      ...(isClosed ? [] : members.map((row): Item => ({ kind: "pipeline", key: `${group} ${row.id}`, row }))),
    ];
  });
}

function groupsOf(row: PipelineRow, grouping: Grouping, kindName: KindName) {
  switch (grouping) {
    case "domain":
      return [{ group: row.domain?.id ?? "", label: row.domain?.name ?? "No domain" }];
    case "source":
      return [{ group: row.source_kind, label: kindName("source", row.source_kind) }];
    case "destination":
      return [{ group: row.destination_kind, label: kindName("destination", row.destination_kind) }];
    case "tag":
      return row.tags.length > 0
        ? row.tags.map((tag) => ({ group: tag, label: tag }))
        : [{ group: "", label: "No tag" }];
  }
}
