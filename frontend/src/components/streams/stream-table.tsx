import { memo, useEffect, useId, useRef, useState, type KeyboardEvent } from "react";
import { flushSync } from "react-dom";
import type { StreamInfo } from "@/api/types";
import { Button } from "@/components/button";
import { classNames } from "@/components/class-names";
import { SYNC_MODES, WRITE_MODES } from "@/format/modes";
import { formatCount } from "@/format/number";
import type { StreamDraft } from "./stream-draft";
import { ShownRows } from "./shown-rows";
import type { FieldErrors } from "./stream-choice";
import { StreamSettings } from "./stream-settings";

/** Whether the streams are chosen or not. `isOpen` shows the settings of a chosen stream below it. */
interface RowActions {
  onToggle: (info: StreamInfo, isChosen: boolean) => void;
  onOpen: (stream: string, isOpen: boolean) => void;
  onChange: (stream: StreamDraft) => void;
}

interface Props extends RowActions {
  /** The streams that are shown. */
  streams: StreamInfo[];
  chosen: ReadonlyMap<string, StreamDraft>;
  /** The rule that makes the names of tables of streams without a table. */
  naming?: string;
  open: ReadonlySet<string>;
  errors: Record<string, FieldErrors>;
  onToggleAll: (isChosen: boolean) => void;
}

/** A cell that is empty on phones. It is not hidden, so that the settings span the same columns at every width. */
const WIDE_ONLY_CELL = "max-md:w-px max-md:p-0 md:py-1.5 md:pr-3";
const NO_ERRORS: FieldErrors = {};

/** A table in which the user chooses streams. One row is in the tab order; the arrow keys move to the others. */
export function StreamTable({ streams, chosen, naming, open, errors, onToggleAll, ...actions }: Props) {
  const hintId = useId();
  const [box, setBox] = useState<HTMLElement | null>(null);
  const [focused, setFocused] = useState<string | null>(null);
  const isFocusedShown = streams.some(({ name }) => name === focused);
  const tabStop = isFocusedShown ? focused! : streams[0]?.name;
  const isAlone = chosen.size === 1;
  /** Moves the focus from the checkbox of one row to that of another, which may be out of view. */
  function moveBetweenRows(event: KeyboardEvent<HTMLTableElement>) {
    const row = (event.target as HTMLElement).closest<HTMLElement>("tr[data-stream]");
    if (!row || !(event.target as HTMLElement).matches("[data-choice]")) return;
    const index = streams.findIndex(({ name }) => name === row.dataset.stream);
    const target = streams[indexAfter(event.key, index, streams.length)]?.name;
    if (target === undefined) return;
    event.preventDefault();
    flushSync(() => setFocused(target)); // renders the row
    const rows = [...box!.querySelectorAll<HTMLElement>("tr[data-stream]")];
    const next = rows.find(({ dataset }) => dataset.stream === target);
    next?.querySelector<HTMLElement>("[data-choice]")?.focus();
  }
  return (
    <div className="grid gap-1">
      <div
        ref={setBox}
        role="region"
        aria-label="Streams of the source"
        aria-describedby={hintId}
        className="relative max-h-[36rem] scroll-pt-11 overflow-auto rounded-card border border-line"
      >
        <table
          aria-rowcount={streams.length + 1}
          className="w-full table-fixed border-separate border-spacing-0 text-[0.8125rem]"
          onKeyDown={moveBetweenRows}
          onFocus={({ target }) => setFocused(target.closest("tr")?.dataset.stream ?? focused)}
        >
          <thead className="sticky top-0 z-10 bg-side text-left text-soft">
            <tr>
              <th scope="col" className="w-9 py-2 pl-3">
                <SelectAll streams={streams} chosen={chosen} onToggleAll={onToggleAll} />
              </th>
              <th scope="col" className="py-2 pr-3 font-medium">
                Stream
              </th>
              <th scope="col" className={classNames("md:w-52", WIDE_ONLY_CELL, "font-medium")}>
                <span className="max-md:sr-only">Sync mode</span>
              </th>
              <th scope="col" className={classNames("md:w-48", WIDE_ONLY_CELL, "font-medium")}>
                <span className="max-md:sr-only">Destination table</span>
              </th>
              <th scope="col" className="w-16 py-2">
                <span className="sr-only">Settings</span>
              </th>
            </tr>
          </thead>
          <ShownRows
            streams={streams}
            box={box}
            kept={tabStop}
            render={(info) => (
              <Row
                info={info}
                stream={chosen.get(info.name)}
                naming={naming}
                errors={errors[info.name] ?? NO_ERRORS}
                isAlone={isAlone && chosen.has(info.name)}
                isOpen={open.has(info.name) && chosen.has(info.name) && !isAlone}
                isTabStop={info.name === tabStop}
                {...actions}
              />
            )}
          />
        </table>
        {streams.length === 0 && <p className="p-3 text-soft">No stream matches.</p>}
      </div>
      <p id={hintId} className="text-xs text-faint max-md:sr-only">
        The arrow keys move between the streams, and the space bar selects one.
      </p>
    </div>
  );
}

function SelectAll({ streams, chosen, onToggleAll }: Pick<Props, "streams" | "chosen" | "onToggleAll">) {
  const box = useRef<HTMLInputElement>(null);
  const count = streams.filter(({ name }) => chosen.has(name)).length;
  const isSome = count > 0 && count < streams.length;
  useEffect(() => {
    if (box.current) box.current.indeterminate = isSome; // there is no attribute for this state
  }, [isSome]);
  return (
    <input
      ref={box}
      type="checkbox"
      className="size-4 align-middle accent-live"
      aria-label={`Select all ${formatCount(streams.length)} shown streams`}
      checked={streams.length > 0 && count === streams.length}
      onChange={({ target }) => onToggleAll(target.checked)}
    />
  );
}

interface RowProps extends RowActions {
  info: StreamInfo;
  naming: string | undefined;
  stream: StreamDraft | undefined;
  errors: FieldErrors;
  /** Whether this is the only chosen stream. Its settings are shown below the table. */
  isAlone: boolean;
  isOpen: boolean;
  isTabStop: boolean;
}

/** A row is rendered again only if its own stream has changed, so that a table of 1,000 streams stays quick. */
const Row = memo(function Row(props: RowProps) {
  const { info, stream, naming, errors, isAlone, isOpen, isTabStop, onToggle, onOpen, onChange } = props;
  const id = useId();
  const tabIndex = isTabStop ? 0 : -1;
  const hasError = Object.keys(errors).length > 0;
  return (
    <>
      <tr
        data-stream={info.name}
        className={classNames(
          "[&>td]:border-t [&>td]:border-line",
          stream ? "bg-live-wash" : "hover:bg-hover",
        )}
      >
        <td className="py-1.5 pl-3 align-top">
          <input
            id={id}
            type="checkbox"
            data-choice
            className="mt-0.5 size-4 accent-live"
            tabIndex={tabIndex}
            checked={stream !== undefined}
            onChange={({ target }) => onToggle(info, target.checked)}
          />
        </td>
        <td className="py-1.5 pr-3 align-top">
          <label htmlFor={id} className="block cursor-pointer font-medium wrap-anywhere">
            {info.name}
          </label>
          <span className="block truncate text-xs text-soft">{fieldsInWords(info)}</span>
          {stream && !isAlone && (
            <span className="block text-xs wrap-anywhere text-soft md:hidden">
              to {stream.table || naming} · {SYNC_MODES[stream.syncMode]}
            </span>
          )}
          {hasError && !isOpen && <span className="block text-xs text-bad">{Object.values(errors)[0]}</span>}
        </td>
        <td className={classNames(WIDE_ONLY_CELL, "align-top text-soft")}>
          {stream && !isAlone && (
            <div className="max-md:hidden">
              <span className="block text-ink">{SYNC_MODES[stream.syncMode]}</span>
              <span className="block truncate text-xs">{writingInWords(stream)}</span>
            </div>
          )}
        </td>
        <td className={classNames(WIDE_ONLY_CELL, "truncate align-top font-mono text-[0.78rem]")}>
          {stream && !isAlone && <span className="max-md:hidden">{stream.table || naming}</span>}
        </td>
        <td className="py-1 pr-2 text-right align-top">
          {stream && !isAlone && (
            <Button
              look="quiet"
              size="small"
              tabIndex={tabIndex}
              aria-expanded={isOpen}
              aria-controls={isOpen ? `${id}-settings` : undefined}
              aria-label={`${isOpen ? "Close" : "Edit"} ${info.name}`}
              onClick={() => onOpen(info.name, !isOpen)}
            >
              {isOpen ? "Close" : "Edit"}
            </Button>
          )}
        </td>
      </tr>
      {isOpen && stream && (
        <tr id={`${id}-settings`}>
          <td colSpan={5} className="p-3">
            <section aria-label={`Settings of ${info.name}`}>
              <StreamSettings
                info={info}
                stream={stream}
                naming={naming}
                errors={errors}
                hasTable
                onChange={onChange}
              />
            </section>
          </td>
        </tr>
      )}
    </>
  );
});

function writingInWords({ writeMode, cursorField }: StreamDraft): string {
  return cursorField ? `by ${cursorField} · ${WRITE_MODES[writeMode]}` : WRITE_MODES[writeMode]!;
}

function fieldsInWords({ fields }: StreamInfo): string {
  if (fields.length === 0) return "The fields are known after the first run";
  const names = fields.map(({ name }) => name);
  return names.length > 5 ? `${names.slice(0, 5).join(", ")} and ${names.length - 5} more` : names.join(", ");
}

/** The index of the row to which a key moves the focus; -1 for other keys. */
function indexAfter(key: string, index: number, count: number): number {
  const indexes: Record<string, number> = {
    ArrowDown: index + 1,
    ArrowUp: index - 1,
    Home: 0,
    End: count - 1,
  };
  return indexes[key] ?? -1;
}
