import { CopyButton } from "./copy-button";

interface Props {
  id: string;
  /** The path of the page of the item. */
  path: string;
}

/** The id of an item. It and the link to the page can be copied. Without a clipboard, a click selects the id. */
export function ItemId({ id, path }: Props) {
  return (
    <span className="flex min-w-0 flex-wrap items-center gap-x-1">
      <span title={id} className="max-w-full min-w-0 truncate font-mono text-xs leading-5 select-all">
        {id}
      </span>
      <CopyId id={id} path={path} />
    </span>
  );
}

/** The buttons alone, where there is no room for the id. */
export function CopyId({ id, path }: Props) {
  return (
    <span className="-ml-2 flex flex-wrap first:ml-0">
      <CopyButton text={id} label="Copy ID" className="h-6! text-xs!" />
      <CopyButton text={`${location.origin}${path}`} label="Copy link" className="h-6! text-xs!" />
    </span>
  );
}
