import { CopyButton } from "./copy-button";

/** A new secret. The server never shows it again. */
export function OneTimeSecret({ label, children }: { label: string; children: string }) {
  return (
    <div role="status" className="mb-4 rounded-card border border-line bg-good-wash px-4 py-3">
      <div className="flex items-start justify-between gap-3">
        <p className="font-medium">{label}</p>
        <CopyButton text={children} className="shrink-0" />
      </div>
      <pre className="mt-1 font-mono text-[0.8125rem] break-all whitespace-pre-wrap select-all">
        {children}
      </pre>
    </div>
  );
}
