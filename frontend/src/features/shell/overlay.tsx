import { lazy, Suspense } from "react";
import { CodeBoundary } from "@/components/code-boundary";
import { loadCode } from "@/components/lazy-code";
import { useOverlay } from "./overlays";

const Palette = lazy(loadCode(() => import("./palette").then(({ Palette }) => ({ default: Palette }))));
const KeysDialog = lazy(
  loadCode(() => import("./keys-dialog").then(({ KeysDialog }) => ({ default: KeysDialog }))),
);

/** The open dialog of the shell. Its code is loaded when it is opened for the first time. */
export function Overlay() {
  const overlay = useOverlay();
  if (overlay === null) return null;
  return (
    <CodeBoundary fallback={null}>
      <Suspense fallback={null}>{overlay === "palette" ? <Palette /> : <KeysDialog />}</Suspense>
    </CodeBoundary>
  );
}
