import { lazy, Suspense, useEffect } from "react";
import { CodeBoundary } from "@/components/code-boundary";
import { loadCode } from "@/components/lazy-code";
import { useOverlay } from "./overlays";

const loadPalette = loadCode(() => import("./palette").then(({ Palette }) => ({ default: Palette })));
const Palette = lazy(loadPalette);
const KeysDialog = lazy(
  loadCode(() => import("./keys-dialog").then(({ KeysDialog }) => ({ default: KeysDialog }))),
);

const PRELOAD_DELAY = 3_000; // milliseconds after which the page itself has been loaded

/**
 * The open dialog of the shell. Its code is loaded when it is opened for the first time; that of the palette is loaded
 * before, so that nothing is lost that is typed right after its keys.
 */
export function Overlay() {
  const overlay = useOverlay();
  useEffect(() => {
    const timer = setTimeout(() => void loadPalette().catch(() => undefined), PRELOAD_DELAY);
    return () => clearTimeout(timer);
  }, []);
  if (overlay === null) return null;
  return (
    <CodeBoundary fallback={null}>
      <Suspense fallback={null}>{overlay === "palette" ? <Palette /> : <KeysDialog />}</Suspense>
    </CodeBoundary>
  );
}
