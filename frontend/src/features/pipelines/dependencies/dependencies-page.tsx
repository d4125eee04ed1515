import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { DependencyGraph } from "@/api/types";
import { Name } from "@/components/name";
import { EmptyState, ErrorNotice, Skeletons } from "@/components/notice";
import { PageHeader } from "@/components/page";
import { TextWithTimes } from "@/components/text-with-times";
import { useOrgEvents } from "@/live/org-events";
import { placesOf, type Place } from "./layers";
import { dependencyGraphQuery } from "./queries";

/** Sizes of the drawing, in pixels. */
const BOX = { width: 180, height: 34 };
const STEP = { x: 240, y: 50 };
const MARGIN = 8;
const MAX_LETTERS = 22;

/** Which pipelines run after which others, as a drawing and as a list. */
export function DependenciesPage() {
  useOrgEvents();
  const { data, error, refetch } = useQuery(dependencyGraphQuery);
  return (
    <div className="mx-auto max-w-[100rem] px-4 py-5 md:px-6">
      <PageHeader title="Dependencies" count={data?.pipelines.length} />
      {!data && !error && <Skeletons />}
      {!data && error && <ErrorNotice error={error} retry={() => void refetch()} />}
      {data && data.pipelines.length === 0 && (
        <EmptyState title="No pipeline runs after another one">
          Choose on the tab “Schedule” of a pipeline after which others it runs.
        </EmptyState>
      )}
      {data && data.pipelines.length > 0 && (
        <div className="grid gap-4">
          <Drawing graph={data} />
          <List graph={data} />
        </div>
      )}
    </div>
  );
}

/** The list below it says the same, so screen readers and the keyboard skip the drawing. */
function Drawing({ graph }: { graph: DependencyGraph }) {
  const places = placesOf(graph);
  const placeOf = new Map(places.map((place) => [place.pipeline.id, place]));
  const width = 2 * MARGIN + BOX.width + STEP.x * Math.max(...places.map(({ layer }) => layer));
  const height = 2 * MARGIN + BOX.height + STEP.y / 2 + STEP.y * Math.max(...places.map(({ row }) => row));
  return (
    <div className="card overflow-x-auto p-3">
      <svg width={width} height={height} aria-hidden>
        {graph.edges.map(({ pipeline_id, upstream_id }) => {
          const from = placeOf.get(upstream_id);
          const to = placeOf.get(pipeline_id);
          return (
            from &&
            to && (
              <path
                key={`${upstream_id} ${pipeline_id}`}
                d={curve(from, to)}
                className="fill-none stroke-line-strong"
              />
            )
          );
        })}
        {places.map((place) => (
          <Box key={place.pipeline.id} place={place} />
        ))}
      </svg>
    </div>
  );
}

function Box({ place }: { place: Place }) {
  const { x, y } = cornerOf(place);
  const { name, failing_since, state } = place.pipeline;
  const line = failing_since ? "stroke-bad" : state === "blocked" ? "stroke-wait" : "stroke-line-strong";
  const letters = [...name];
  const text = letters.length > MAX_LETTERS ? `${letters.slice(0, MAX_LETTERS - 1).join("")}…` : name;
  return (
    <g>
      <title>{name}</title>
      <rect x={x} y={y} {...BOX} rx={6} className={`fill-surface ${line}`} />
      <text x={x + 10} y={y + 22} className="fill-ink text-[0.8125rem]">
        {text}
      </text>
    </g>
  );
}

function cornerOf({ layer, row }: Place) {
  return { x: MARGIN + layer * STEP.x, y: MARGIN + row * STEP.y };
}

function curve(from: Place, to: Place): string {
  const start = cornerOf(from);
  const end = cornerOf(to);
  const [x1, y1] = [start.x + BOX.width, start.y + BOX.height / 2];
  const [x2, y2] = [end.x, end.y + BOX.height / 2];
  const middle = (x1 + x2) / 2;
  // A line to a later layer in the same row passes below the boxes between them.
  const bend = to.layer - from.layer > 1 && to.row === from.row ? STEP.y : 0;
  return `M ${x1} ${y1} C ${middle} ${y1 + bend}, ${middle} ${y2 + bend}, ${x2} ${y2}`;
}

/** "A and B" if it waits for all of them, or "A or B" if one of them starts it. */
const LISTS = {
  all: new Intl.ListFormat("en-GB", { type: "conjunction" }),
  any: new Intl.ListFormat("en-GB", { type: "disjunction" }),
};

function List({ graph: { pipelines, edges } }: { graph: DependencyGraph }) {
  const nameOf = new Map(pipelines.map(({ id, name }) => [id, name]));
  return (
    <ul aria-label="Pipelines" className="card divide-y divide-line">
      {pipelines.map(({ id, name, mode, reason, state, failing_since }) => {
        const upstreams = edges.filter(({ pipeline_id }) => pipeline_id === id);
        return (
          <li key={id} className="grid gap-0.5 px-4 py-2">
            <span className="flex flex-wrap gap-x-3">
              <Link to="/pipelines/$pipelineId/schedule" params={{ pipelineId: id }} className="link">
                <Name>{name}</Name>
              </Link>
              {failing_since && <span className="text-bad">Failed</span>}
            </span>
            {upstreams.length > 0 && (
              <span className="text-soft">
                After{" "}
                <Name>
                  {LISTS[mode].format(upstreams.map(({ upstream_id }) => nameOf.get(upstream_id)!))}
                </Name>
              </span>
            )}
            {reason && (
              <span className={state === "blocked" ? "text-bad" : "text-faint"}>
                <TextWithTimes text={reason} />
              </span>
            )}
          </li>
        );
      })}
    </ul>
  );
}
