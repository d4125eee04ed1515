/** A new secret. The server never shows it again. */
export function OneTimeSecret({ label, children }: { label: string; children: string }) {
  return (
    <div role="status" className="mb-4 rounded-card border border-line bg-good-wash px-4 py-3">
      <p className="font-medium">{label}</p>
      <pre className="mt-1 font-mono text-[0.8125rem] break-all whitespace-pre-wrap select-all">
        {children}
      </pre>
    </div>
  );
}
