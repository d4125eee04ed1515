import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { downloadFile } from "@/api/download";
import type { Output } from "@/api/types";
import { Button } from "@/components/button";
import { DownloadIcon } from "@/components/icons";
import { showError } from "@/components/toast";
import { formatBytes, countWithNoun } from "@/format/number";
import { outputsQuery } from "@/api/outputs";

export function OutputsCard({ runId, mayDownload }: { runId: string; mayDownload: boolean }) {
  const { data } = useQuery(outputsQuery(runId));
  if (!data || data.results.length === 0) return null;
  return (
    <section aria-labelledby="outputs-title" className="card p-4">
      <h2 id="outputs-title" className="mb-2 font-semibold">
        Outputs
      </h2>
      <ul className="grid gap-1.5">
        {data.results.map((output) => (
          <li key={output.name} className="flex items-center gap-2">
            <div className="min-w-0 flex-1">
              <p dir="auto" className="truncate text-left" title={output.name}>
                {output.name}
              </p>
              <p className="text-xs text-faint">
                {countWithNoun(output.rows, "record")}, {formatBytes(output.bytes)}
              </p>
            </div>
            {mayDownload && <DownloadButton runId={runId} output={output} />}
          </li>
        ))}
      </ul>
      {!mayDownload && <p className="mt-2 text-xs text-faint">Members can download these files.</p>}
    </section>
  );
}

function DownloadButton({ runId, output }: { runId: string; output: Output }) {
  const [isDownloading, setIsDownloading] = useState(false);
  async function download() {
    setIsDownloading(true);
    try {
      await downloadFile(
        `/api/v1/runs/${runId}/outputs/${encodeURIComponent(output.name)}`,
        output.name.split("/").pop()!,
      );
    } catch (error) {
      showError(error);
    } finally {
      setIsDownloading(false);
    }
  }
  return (
    <Button
      size="icon"
      look="quiet"
      aria-label={`Download ${output.name}`}
      disabledReason={isDownloading ? "Downloading" : null}
      onClick={() => void download()}
    >
      <DownloadIcon />
    </Button>
  );
}
