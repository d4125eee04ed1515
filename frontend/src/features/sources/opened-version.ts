import { useState } from "react";
import type { CustomSource } from "@/api/types";

/** The code in the editor, and the version of the source with which it began. */
export interface Opened {
  version: number;
  savedCode: string;
  code: string;
}

export function openNewest(source: CustomSource): Opened {
  return { version: source.latest_version, savedCode: source.version.code, code: source.version.code };
}

/** Returns what is open after the source was fetched again. Code that the user has changed stays open. */
export function openedAfterFetch(opened: Opened, source: CustomSource): Opened {
  const isChanged = opened.code !== opened.savedCode;
  return source.latest_version <= opened.version || isChanged ? opened : openNewest(source);
}

/** The code that the user edits. A version that the agent or another member saves meanwhile replaces unchanged code. */
export function useOpenedVersion(source: CustomSource) {
  const [stored, setOpened] = useState(() => openNewest(source));
  const opened = openedAfterFetch(stored, source);
  if (opened !== stored) setOpened(opened);
  return {
    code: opened.code,
    setCode: (code: string) => setOpened({ ...opened, code }),
    isChanged: opened.code !== opened.savedCode,
    newerVersion: opened.version < source.latest_version ? source.latest_version : null,
    openVersion: (newest: CustomSource) => setOpened(openNewest(newest)),
  };
}
