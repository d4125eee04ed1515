import { isSampleName, SAMPLES, type SampleName } from "@/components/start/samples";

/** The destinations that need no settings, because their files are stored in Drover. */
export const DESTINATIONS = {
  duckdb: { title: "DuckDB", text: "A database file. Later runs update its records." },
  parquet: { title: "Parquet", text: "Files for data tools. Later runs add new files." },
  csv: { title: "CSV", text: "Files for spreadsheets. Later runs add new files." },
} as const;

export type DestinationKind = keyof typeof DESTINATIONS;

/** The progress of the guided start, in the URL: it survives a reload. */
interface StartSearch {
  sample?: SampleName;
  /** The first run, once the pipeline was created. */
  run?: string;
}

export function parseStart({ sample, run }: Record<string, unknown>): StartSearch {
  return {
    ...(isSampleName(sample) ? { sample } : {}),
    ...(typeof run === "string" ? { run } : {}),
  };
}

/** The definition of the pipeline as the API accepts it. */
export function startConfig(sample: SampleName, destination: DestinationKind) {
  const { primaryKey, cursorField } = SAMPLES[sample];
  return {
    source: { kind: "samples", config: {} },
    streams: [
      {
        stream: sample,
        table: sample,
        sync_mode: "incremental" as const,
        cursor_field: cursorField,
        primary_key: primaryKey,
        write_mode: destination === "duckdb" ? ("merge" as const) : ("append" as const),
      },
    ],
    destination: { kind: destination, config: {} },
  };
}

/** The name of the pipeline; `attempt` counts from 1, because an earlier pipeline may have the name. */
export function startName(sample: SampleName, destination: DestinationKind, attempt: number): string {
  const word = sample === "flights" ? "Flights" : "Weather";
  return `${word} to ${DESTINATIONS[destination].title}${attempt > 1 ? ` ${attempt}` : ""}`;
}
