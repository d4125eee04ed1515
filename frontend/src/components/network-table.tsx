import type { NetworkPlace } from "@/api/types";
import { bytes, plural } from "@/format/number";

/** The hosts that were connected to, and the refused connections. */
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
              {sent + received > 0 && `, ${bytes(sent)} sent, ${bytes(received)} received`}
            </span>
          )}
        </li>
      ))}
    </ul>
  );
}
