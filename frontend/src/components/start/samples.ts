export type SampleName = "flights" | "weather";

interface Sample {
  title: string;
  text: string;
  primaryKey: string[];
  cursorField: string;
}

/** The streams of the source of sample data, in the words of the first page. */
export const SAMPLES: Record<SampleName, Sample> = {
  flights: {
    title: "Sample data: flights",
    text: "Made-up flights from New York, with delays and prices. A new one leaves every half hour.",
    primaryKey: ["id"],
    cursorField: "scheduled_at",
  },
  weather: {
    title: "Sample data: weather",
    text: "Made-up weather at three airports, observed every three hours.",
    primaryKey: ["airport", "observed_at"],
    cursorField: "observed_at",
  },
};

export function isSampleName(name: unknown): name is SampleName {
  return typeof name === "string" && Object.hasOwn(SAMPLES, name);
}
