import type { DependencyGraph } from "@/api/types";

type Node = DependencyGraph["pipelines"][number];

export interface Place {
  pipeline: Node;
  /** From 0. A pipeline is in a later layer than all pipelines after which it runs. */
  layer: number;
  /** In its layer, from 0. */
  row: number;
}

/** Divides the pipelines into layers. In its layer, a pipeline is close to those after which it runs. */
export function placesOf({ pipelines, edges }: DependencyGraph): Place[] {
  const upstreams = new Map<string, string[]>(pipelines.map(({ id }) => [id, []]));
  for (const { pipeline_id, upstream_id } of edges) upstreams.get(pipeline_id)?.push(upstream_id);
  const layers = new Map<string, number>();
  function layerOf(id: string): number {
    const known = layers.get(id);
    if (known !== undefined) return known;
    layers.set(id, 0); // The server refuses cycles. With one, this would be the end of it.
    const layer = Math.max(-1, ...(upstreams.get(id) ?? []).map(layerOf)) + 1;
    layers.set(id, layer);
    return layer;
  }
  const byLayer: Node[][] = [];
  for (const pipeline of pipelines) (byLayer[layerOf(pipeline.id)] ??= []).push(pipeline);
  const rows = new Map<string, number>();
  return byLayer.flatMap((members, layer) => {
    const meanRow = ({ id }: Node) => {
      const above = (upstreams.get(id) ?? []).map((one) => rows.get(one) ?? 0);
      return above.length === 0 ? 0 : above.reduce((sum, row) => sum + row, 0) / above.length;
    };
    const ordered = [...members].sort((a, b) => meanRow(a) - meanRow(b) || a.name.localeCompare(b.name));
    ordered.forEach(({ id }, row) => rows.set(id, row));
    return ordered.map((pipeline, row) => ({ pipeline, layer, row }));
  });
}
