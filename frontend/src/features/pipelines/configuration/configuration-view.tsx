import type { ReactNode } from "react";
import type { Pipeline } from "@/api/types";
import { classNames } from "@/components/class-names";
import { CodeEditor } from "@/components/code-editor";
import { rulesInWords, rulesOf } from "@/format/fields";
import { limitsOf, percentOf } from "@/format/limits";
import { CONTRACTS, ON_STREAM_FAILURE, SNAPSHOT_SCOPES, SYNC_MODES, WRITE_MODES } from "@/format/modes";
import { hasSnapshots, sideText, useSideChoices } from "./side-fields";
import { NEW_STREAMS, patternValues } from "@/format/patterns";

const NO_MESSAGES: never[] = [];
const ignoreChange = () => undefined;

/** The configuration for users who cannot edit it. */
export function ConfigurationView({ pipeline }: { pipeline: Pipeline }) {
  const { source, destination, streams, snapshot, patterns, on_stream_failure } = pipeline.config;
  const isSeveral = streams.length > 1 || Boolean(patterns);
  const sources = useSideChoices("source");
  const destinations = useSideChoices("destination");
  return (
    <div className="grid gap-4">
      <p className="text-soft">You can view this configuration, but not change it.</p>
      <Facts
        title="General"
        facts={[
          ["Name", pipeline.name],
          ["Description", pipeline.description || "–"],
          ["Domain", pipeline.domain?.name ?? "–"],
          ["Tags", pipeline.tags.join(", ") || "–"],
          ["Time limit of a run", `${pipeline.timeout_seconds / 60} minutes`],
          ["Attempts of a run", String(pipeline.max_attempts)],
        ]}
      />
      <div className="grid gap-4 @4xl/page:grid-cols-2">
        <Facts
          title="Source"
          facts={[
            ["Connector", <Text>{sideText(source, sources)}</Text>],
            ...(isSeveral
              ? [["If a stream fails", ON_STREAM_FAILURE[on_stream_failure ?? "continue"]] as Fact]
              : []),
            ...(isSeveral && hasSnapshots(source.kind, sources)
              ? [["Snapshots", SNAPSHOT_SCOPES[snapshot?.scope ?? "auto"]] as Fact]
              : []),
          ]}
        />
        <Facts
          title="Destination"
          facts={[["Connector", <Text>{sideText(destination, destinations)}</Text>]]}
        />
      </div>
      {patterns && <PatternFacts pipeline={pipeline} />}
      {streams.map((stream) => {
        const limits = limitsOf(stream);
        return (
          <Facts
            key={stream.stream}
            title={`Stream ${stream.stream}`}
            facts={[
              ["Sync mode", SYNC_MODES[stream.sync_mode]],
              ["Cursor column", stream.cursor_field ?? "–"],
              ["Primary key", stream.primary_key.join(", ") || "–"],
              ["Destination table", stream.table],
              ["Write mode", WRITE_MODES[stream.write_mode]],
              [
                "Rejected records",
                limits.maxRejectedShare ? `up to ${percentOf(limits.maxRejectedShare)}%` : "none allowed",
              ],
              ["Empty result", limits.allowEmpty ? "may replace rows" : "fails over a table with rows"],
              ["New and changed columns", CONTRACTS[stream.contract ?? "evolve"]],
              ["Fields", <Text>{rulesInWords(rulesOf(stream.fields))}</Text>],
              ["Transform", <Transform code={stream.transforms[0]?.code ?? ""} />, "wide"],
            ]}
          />
        );
      })}
    </div>
  );
}

/** A name and its value. Code has a line of its own, because it is not readable in a narrow column. */
type Fact = [string, ReactNode, "wide"?];

function PatternFacts({ pipeline }: { pipeline: Pipeline }) {
  const patterns = patternValues(pipeline.config);
  return (
    <Facts
      title="Streams by patterns"
      facts={[
        ["Patterns", <span className="font-mono whitespace-pre-wrap">{patterns.match}</span>],
        ["Sync mode", SYNC_MODES[patterns.syncMode]],
        ["Cursor column", patterns.cursorField || "–"],
        ["Write mode", patterns.writeMode ? WRITE_MODES[patterns.writeMode] : "Default"],
        ["New and changed columns", CONTRACTS[patterns.contract]],
        ["Fields", <Text>{rulesInWords(patterns.fields)}</Text>],
        ["Transform", <Transform code={patterns.code} />, "wide"],
        ["Destination tables", patterns.naming || "Default"],
        ["New streams", NEW_STREAMS[patterns.newStreams]],
      ]}
    />
  );
}

function Facts({ title, facts }: { title: string; facts: Fact[] }) {
  return (
    <section aria-label={title} className="card min-w-0 p-4">
      <h2 className="mb-2 font-semibold wrap-anywhere">{title}</h2>
      <dl className="grid gap-x-4 gap-y-1.5 text-[0.8125rem] sm:grid-cols-[auto_minmax(0,1fr)]">
        {facts.map(([name, value, width]) => (
          <div key={name} className="contents">
            <dt className={classNames("text-faint", width && "sm:col-span-2")}>{name}</dt>
            <dd className={classNames("min-w-0 wrap-anywhere max-sm:mb-1.5", width && "sm:col-span-2")}>
              {value}
            </dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

function Text({ children }: { children: string }) {
  return <span className="whitespace-pre-wrap">{children}</span>;
}

function Transform({ code }: { code: string }) {
  if (code === "") return "No transform";
  return (
    <CodeEditor
      label="Transform code"
      value={code}
      onChange={ignoreChange}
      messages={NO_MESSAGES}
      readOnly
      minHeight="3rem"
    />
  );
}
