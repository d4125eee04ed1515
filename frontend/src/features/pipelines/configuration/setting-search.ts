import { useEffect } from "react";
import { focusOn, focusSetting } from "@/components/schema-form/focus";
import { parseText } from "@/format/parameter";

const MAX_NAME_LENGTH = 500; // characters

/** The setting in the URL that is to be changed, such as `cursor_field` of a stream or `source.config.password`. */
export interface SettingSearch {
  setting?: string;
  stream?: string;
}

export function parseSettingSearch({ setting, stream }: Record<string, unknown>): SettingSearch {
  const [name, of] = [setting, stream].map((value) => parseText(value, MAX_NAME_LENGTH));
  return { ...(name && { setting: name }), ...(of && { stream: of }) };
}

/** Moves the focus to the setting when the form is there. If the stream has no settings of its own, to those of its patterns. */
export function useSettingOfUrl({ setting, stream }: SettingSearch, isReady: boolean): void {
  useEffect(() => {
    if (setting === undefined || !isReady) return;
    const around = setting === "stream" || stream === undefined ? null : settingsOf(stream);
    if (!around) focusSetting(setting);
    else if (!focusSetting(setting, around)) focusOn(around);
  }, [setting, stream, isReady]);
}

function settingsOf(stream: string): HTMLElement | null {
  const streams = [...document.querySelectorAll<HTMLElement>("[data-stream-settings]")];
  const own = streams.find(({ dataset }) => dataset.streamSettings === stream);
  return own ?? document.querySelector<HTMLElement>("[data-patterns]");
}
