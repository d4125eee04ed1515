import { useQuery } from "@tanstack/react-query";
import { useRouter } from "@tanstack/react-router";
import { useEffect, useId, useRef, useState, type KeyboardEvent } from "react";
import { openAgentPanel } from "@/agent-panel";
import { classNames } from "@/components/class-names";
import { showError, showSuccess } from "@/components/toast";
import { Name } from "@/components/name";
import { useHasPermission, useHasPermissionSomewhere, useReadOnlyReason } from "@/session/use-session";
import { saveTheme } from "@/theme";
import { openOverlay } from "./overlays";
import {
  FIXED_COMMANDS,
  foundCommands,
  matchingCommands,
  runCommand,
  searchText,
  type Command,
} from "./commands";
import { paletteQuery, useRunPipeline } from "./queries";

const TYPING_DELAY = 150; // milliseconds without typing after which the server is asked

/** A dialog that finds pages, pipelines, connectors, sources and files by their names, and opens, runs or creates them. */
export function Palette() {
  const [text, setText] = useState("");
  const [picked, setPicked] = useState(0);
  const dialog = useRef<HTMLDialogElement>(null);
  const listId = useId();
  const { commands, searchState } = useCommands(text);
  const carryOut = useCarryOut();
  const index = Math.min(picked, commands.length - 1);

  useEffect(() => dialog.current?.showModal(), []);
  useEffect(() => {
    document.getElementById(`${listId}-${index}`)?.scrollIntoView({ block: "nearest" });
  }, [listId, index]);

  function choose(command: Command | undefined) {
    if (!command) return;
    openOverlay(null);
    carryOut(command);
  }
  function onKeyDown(event: KeyboardEvent) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && commands.length > 0) {
      event.preventDefault();
      setPicked((index + step + commands.length) % commands.length);
    }
    if (event.key === "Enter") {
      event.preventDefault();
      choose(commands[index]);
    }
  }
  return (
    <dialog
      ref={dialog}
      aria-label="Search everything"
      onClose={() => openOverlay(null)}
      onClick={(event) => event.target === dialog.current && openOverlay(null)}
      className="mx-auto mt-[10vh] w-[min(38rem,calc(100vw-2rem))] rounded-card border border-line bg-raised p-0 text-ink shadow-float backdrop:bg-black/40"
    >
      <input
        autoFocus
        role="combobox"
        aria-label="Search everything"
        aria-expanded="true"
        aria-controls={listId}
        aria-activedescendant={commands.length > 0 ? `${listId}-${index}` : undefined}
        placeholder="Go to, run or create…"
        maxLength={120}
        className="h-12 w-full border-b border-line bg-transparent px-4 text-base outline-none"
        value={text}
        onChange={({ target }) => {
          setText(target.value);
          setPicked(0);
        }}
        onKeyDown={onKeyDown}
      />
      <ul
        id={listId}
        role="listbox"
        aria-label="Results"
        className="h-[min(24rem,60vh)] overflow-y-auto p-1.5"
      >
        {commands.map((command, position) => (
          <li
            key={command.id}
            id={`${listId}-${position}`}
            role="option"
            aria-selected={position === index}
            className={classNames(
              "flex cursor-pointer items-center gap-3 rounded-control px-2.5 py-1.5",
              position === index && "bg-hover",
            )}
            onPointerMove={() => setPicked(position)}
            onClick={() => choose(command)}
          >
            <span className="w-28 shrink-0 text-xs text-faint max-sm:hidden">{command.group}</span>
            <Name cut className="flex-1">
              {command.label}
            </Name>
            {command.hint && <kbd className="font-mono text-xs text-faint">{command.hint}</kbd>}
          </li>
        ))}
        {commands.length === 0 && (
          <li role="option" aria-selected="false" aria-disabled="true" className="px-2.5 py-1.5 text-soft">
            {NOTHING_FOUND[searchState]}
          </li>
        )}
      </ul>
    </dialog>
  );
}

type SearchState = "searching" | "failed" | "done";

const NOTHING_FOUND: Record<SearchState, string> = {
  searching: "Searching…",
  failed: "The server did not answer the search. Close this dialog and try again.",
  done: "Nothing has this name. Search for a pipeline, connector, custom source, file, page, or the id of a run.",
};

/** The commands for the text that this user may use, and whether the server has answered the search for it. */
function useCommands(text: string): { commands: Command[]; searchState: SearchState } {
  const [typed, setTyped] = useState("");
  useEffect(() => {
    const timer = setTimeout(() => setTyped(searchText(text)), TYPING_DELAY);
    return () => clearTimeout(timer);
  }, [text]);
  const { data, isFetching, isError } = useQuery(paletteQuery(typed));
  const hasPermission = useHasPermission();
  const canUseAgent = useHasPermissionSomewhere("agent.use");
  const canEditPipelines = useHasPermissionSomewhere("pipelines.edit");
  const canEditConnectors = useHasPermissionSomewhere("connectors.edit");
  const isReadOnly = useReadOnlyReason() !== null;
  const isAllowed = ({ permission, group, act }: Command) => {
    if (group === "Create" && isReadOnly) return false;
    if (act === "copy-link") return "clipboard" in navigator; // only on https and localhost
    if (permission === undefined) return true;
    if (permission === "agent.use") return canUseAgent;
    if (permission === "pipelines.edit") return canEditPipelines;
    if (permission === "connectors.edit") return canEditConnectors;
    return hasPermission(permission);
  };
  const isSearching = isFetching || typed !== searchText(text);
  const searchState = isSearching ? "searching" : isError ? "failed" : "done";
  if (text.trim() === "") return { commands: FIXED_COMMANDS.filter(isAllowed), searchState };
  const found = data
    ? foundCommands(text, data, (domain) => !isReadOnly && hasPermission("pipelines.run", domain))
    : [];
  const commands = [...runCommand(text), ...matchingCommands(text).filter(isAllowed), ...found];
  return { commands, searchState };
}

/** Returns a function that carries out a command after the palette was closed. */
function useCarryOut(): (command: Command) => void {
  const router = useRouter();
  const run = useRunPipeline();
  return ({ to, run: pipelineId, act }) => {
    if (to) void router.navigate({ href: to });
    // Callbacks of `mutate` would not be called, because the palette has been closed.
    if (pipelineId)
      run
        .mutateAsync(pipelineId)
        .then(({ id }) => router.navigate({ to: "/runs/$runId", params: { runId: id } }))
        .catch(showError);
    if (act === "agent") openAgentPanel();
    if (act === "keys") openOverlay("keys");
    if (act === "copy-link")
      void navigator.clipboard
        .writeText(location.href)
        .then(() => showSuccess("The link was copied."), showError);
    if (act === "theme-light") saveTheme("light");
    if (act === "theme-dark") saveTheme("dark");
    if (act === "theme-system") saveTheme("system");
  };
}
