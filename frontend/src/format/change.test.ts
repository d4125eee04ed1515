import { describe, expect, it } from "vitest";
import { fieldInWords, valueInWords } from "./change";

describe("changes of a pipeline", () => {
  it.each([
    ["enabled", "Enabled", true, "Yes"],
    ["streams.0.write_mode", "Write mode", "replace", "Overwrite table"],
    ["streams.0.sync_mode", "Sync mode", "full_refresh", "Full refresh"],
    ["schedule", "Schedule", "Every 2 hours", "Every 2 hours"],
    ["timeout_seconds", "Time limit of a run", 7200, "2\u00a0h"],
    ["streams.2.cursor_field", "Cursor column of stream 3", "id", "id"],
    ["streams.0.contract", "New and changed columns", "freeze", "Fail the run"],
    ["streams.0.fields.rules", "Rules for fields", [{ field: "mail", protect: "hash" }], "mail: hash"],
    ["streams.0.fields.others", "Other fields", "drop", "Drop"],
    ["streams.0.transforms", "Transforms", [{ kind: "python", code: "pass" }], "pass"],
  ])("shows %s as %s", (field, label, value, words) => {
    expect(fieldInWords(field)).toBe(label);
    expect(valueInWords(field, value)).toBe(words);
  });

  it("shows other fields and values unchanged", () => {
    expect(fieldInWords("source.config.host")).toBe("source.config.host");
    expect(valueInWords("source.config.host", "db.example.com")).toBe("db.example.com");
    expect(valueInWords("name", null)).toBeNull();
  });
});
