import { createElement, lazy, Suspense, useEffect, type ComponentType } from "react";
import { CodeBoundary } from "@/components/code-boundary";
import { loadCode } from "@/components/lazy-code";
import { useOverlay } from "./overlays";

const loadPalette = loadCode(() => import("./palette").then(({ Palette }) => ({ default: Palette })));
const Palette = lazy(loadPalette);
/** The palette when its code has been loaded. React would show `lazy` components of loaded code only after 0.3 seconds. */
let readyPalette: ComponentType | null = null;
const KeysDialog = lazy(
  loadCode(() => import("./keys-dialog").then(({ KeysDialog }) => ({ default: KeysDialog }))),
);

function preloadPalette(): void {
  loadPalette().then(
    (module) => {
      readyPalette = module.default;
    },
    () => undefined, // the palette says so when it is opened
  );
}

const PRELOAD_DELAY = 3_000; // milliseconds after which the page itself has been loaded

/**
 * The open dialog of the shell. Its code is loaded when it is opened for the first time; that of the palette is loaded
 * before, so that nothing is lost that is typed right after its keys.
 */
export function Overlay() {
  const overlay = useOverlay();
  useEffect(() => {
    const timer = setTimeout(preloadPalette, PRELOAD_DELAY);
    return () => clearTimeout(timer);
  }, []);
  if (overlay === null) return null;
  if (overlay === "palette" && readyPalette) return createElement(readyPalette);
  return (
    <CodeBoundary fallback={null}>
      <Suspense fallback={null}>{overlay === "palette" ? <Palette /> : <KeysDialog />}</Suspense>
    </CodeBoundary>
  );
}
