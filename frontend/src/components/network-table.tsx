import type { NetworkPlace } from "@/api/types";
import { plural } from "@/format/number";

/** Where connections went, and which were refused. */
export function NetworkTable({ places }: { places: NetworkPlace[] }) {
  return (
    <ul className="grid gap-1.5 text-[0.8125rem]">
      {places.map(({ host, port, refused, connections, sent, received }) => (
        <li key={`${host}:${port}:${refused}`} className="grid">
          <span className="font-mono break-all">
            {host}:{port}
          </span>
          {refused ? (
            <span className="text-bad">Refused: {refused}</span>
          ) : (
            <span className="text-faint">
              {plural(connections, "connection")}
              {sent + received > 0 && `, ${bytes(sent)} out, ${bytes(received)} in`}
            </span>
          )}
        </li>
      ))}
    </ul>
  );
}

function bytes(value: number): string {
  if (value < 1000) return `${value} B`;
  return value < 1_000_000 ? `${(value / 1000).toFixed(1)} kB` : `${(value / 1_000_000).toFixed(1)} MB`;
}
