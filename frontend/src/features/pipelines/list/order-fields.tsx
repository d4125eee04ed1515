import { useNavigate } from "@tanstack/react-router";
import { parsePipelineSearch, type PipelineSearch } from "./filter";

const ORDERS = [
  ["", "Newest first"],
  ["oldest", "Oldest first"],
  ["name", "Name"],
  ["updated", "Last changed"],
  ["next_run", "Next run"],
  ["last_run", "Last run"],
  ["duration", "Longest last run"],
] as const;
const GROUPS = [
  ["", "No groups"],
  ["domain", "By domain"],
  ["source", "By source"],
  ["destination", "By destination"],
  ["tag", "By tag"],
] as const;

/** The order and the groups of the list. */
export function OrderFields({ search }: { search: PipelineSearch }) {
  const navigate = useNavigate({ from: "/pipelines" });
  const change = (name: string, value: string) =>
    void navigate({
      search: (current) => parsePipelineSearch({ ...current, [name]: value }),
    });
  const fields = [
    { label: "Group", name: "group", choices: GROUPS, value: search.group ?? "" },
    { label: "Sort", name: "order", choices: ORDERS, value: search.order ?? "" },
  ];
  return fields.map(({ label, name, choices, value }) => (
    <select
      key={name}
      aria-label={label}
      className="control w-auto! px-1.5! text-[0.8125rem]"
      value={value}
      onChange={({ target }) => change(name, target.value)}
    >
      {choices.map(([choice, text]) => (
        <option key={choice} value={choice}>
          {text}
        </option>
      ))}
    </select>
  ));
}
