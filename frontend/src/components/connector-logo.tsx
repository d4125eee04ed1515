import {
  siApachekafka,
  siApacheparquet,
  siDuckdb,
  siGooglesheets,
  siHubspot,
  siJson,
  siNotion,
  siPostgresql,
} from "simple-icons";
import { classNames } from "./class-names";

interface Logo {
  /** The path of a filled drawing in a square of 24. */
  path: string;
  /** Its colors in the light and in the dark theme. Without it the logo has the color of the text. */
  className?: string;
}

function brand(path: string, className?: string): Logo {
  return { path, className };
}

const TABLE = "M3 3h18v18H3zm2 2v4h14V5zm0 6v3.5h6V11zm8 0v3.5h6V11zm-8 5.5V19h6v-2.5zm8 0V19h6v-2.5z";
const FILE = "M5 1h10l5 5v17H5zm2 2v18h11V7.5h-4.500V3zm2 8h7v2H9zm0 4h7v2H9z";
const LINES = "M3 4h18v2.200H3zm0 6h18v2.200H3zm0 6h12v2.200H3z";
const CODE =
  "M8.6 5.4 10 6.8 4.8 12l5.2 5.2-1.4 1.400L2 12zm6.8 0L22 12l-6.6 6.6-1.4-1.400L19.2 12 14 6.800z";
const GLOBE =
  "M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20m0 2c1 0 2.3 1.8 2.8 5H9.200C9.7 5.8 11 4 12 4M4.3 14a8 8 0 0 1 0-4h2.800a24 24 0 0 0 0 4zm4.8 0a20 20 0 0 1 0-4h5.800a20 20 0 0 1 0 4zm2.9 6c-1 0-2.3-1.8-2.8-4h5.600c-.5 2.2-1.8 4-2.8 4m4.9-6a24 24 0 0 0 0-4h2.800a8 8 0 0 1 0 4z";
const FLASK =
  "M9 2h6v2h-1v5l6 10.500c.7 1.3-.1 2.5-1.5 2.500h-13C4.1 22 3.3 20.8 4 19.500L10 9V4H9zm2 8-2.3 4h6.600L13 10z";
const LOOP =
  "M12 4a8 8 0 0 1 7.4 5H22l-3.7 4.500L14.6 9h2.600A6 6 0 0 0 6.7 9.200L4.9 8.300A8 8 0 0 1 12 4M5.7 10.5 9.4 15H6.800a6 6 0 0 0 10.5-.2l1.8.9A8 8 0 0 1 4.6 15H2z";
const CHART = "M3 3h2v16h16v2H3zm5 9h3v6H8zm5-6h3v12h-3zm5 3h3v9h-3z";
const CAP = "M12 3 1 8.5 12 14l8-4v6h2V9zM5 13v4c2 2 4.5 3 7 3s5-1 7-3v-4l-7 3.500z";
const LEAF =
  "M21 3c-9 0-16 3-16 10 0 1.6.5 3 1.3 4.200L3 20.5 4.5 22l3.4-3.300C9 19.5 10.4 20 12 20c7 0 9-8 9-17m-3 3.300C17.5 13 15.7 18 12 18c-1 0-1.9-.3-2.6-.8L16 10.5 14.5 9l-6.6 6.700C7.3 15 7 14 7 13c0-4.8 4.6-6.5 11-6.7";
const BALL =
  "M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20m0 2a8 8 0 0 1 7.9 7h-4a4 4 0 0 0-7.8 0h-4A8 8 0 0 1 12 4m0 6a2 2 0 1 1 0 4 2 2 0 0 1 0-4m-7.9 3h4a4 4 0 0 0 7.8 0h4a8 8 0 0 1-15.8 0";

const POSTGRESQL = "text-[light-dark(#336791,#8fb8ff)]";
/** By kind, for sources and destinations. */
const LOGOS: Record<string, Logo> = {
  postgres: brand(siPostgresql.path, POSTGRESQL),
  duckdb: brand(siDuckdb.path, "text-[light-dark(#8a7600,#fff000)]"),
  parquet: brand(siApacheparquet.path, "text-[light-dark(#1f7fc4,#6cc0ff)]"),
  hubspot: brand(siHubspot.path, "text-[light-dark(#d9501f,#ff8f73)]"),
  notion: brand(siNotion.path),
  gsheets: brand(siGooglesheets.path, "text-[light-dark(#1f8a3f,#5fd08a)]"),
  kafka: brand(siApachekafka.path),
  jsonl: brand(siJson.path),
  rest: { path: GLOBE, className: "text-[light-dark(#0f766e,#5eead4)]" },
  files: { path: FILE, className: "text-[light-dark(#57534e,#c4c0b8)]" },
  csv: { path: TABLE, className: "text-[light-dark(#1f8a3f,#5fd08a)]" },
  logger: { path: LINES, className: "text-soft" },
  samples: { path: TABLE, className: "text-[light-dark(#0f766e,#5eead4)]" },
  dummy: { path: FLASK, className: "text-[light-dark(#7c3aed,#c4a5ff)]" },
  cycle: { path: LOOP, className: "text-[light-dark(#0f766e,#5eead4)]" },
  periscope: { path: CHART, className: "text-[light-dark(#1d5fc4,#7ab1ff)]" },
  sana_ai: { path: CAP, className: "text-[light-dark(#7c3aed,#c4a5ff)]" },
  pokeapi: { path: BALL, className: "text-[light-dark(#b3261e,#ff8a80)]" },
  gbif: { path: LEAF, className: "text-[light-dark(#17703c,#5fd08a)]" },
};
const NEUTRAL: Logo = { path: CODE, className: "text-soft" }; // custom sources, and kinds that have no drawing yet

interface Props {
  kind: string;
  /** The name of the kind for people, as tooltip and text for screen readers. Leave it out beside the name itself. */
  label?: string;
  className?: string;
}

/** The logo of a kind of source or destination. */
export function ConnectorLogo({ kind, label, className }: Props) {
  const logo = LOGOS[kind] ?? NEUTRAL;
  return (
    <svg
      role={label === undefined ? undefined : "img"}
      aria-hidden={label === undefined}
      width="16"
      height="16"
      viewBox="0 0 24 24"
      fill="currentColor"
      className={classNames("shrink-0", logo.className, className)}
    >
      {label !== undefined && <title>{label}</title>}
      <path d={logo.path} fillRule="evenodd" />
    </svg>
  );
}
