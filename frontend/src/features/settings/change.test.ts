import { expect, it } from "vitest";
import { actorInWords, changeInWords } from "./change";

it.each([
  ["role", [null, "viewer"], "Role set to viewer"],
  ["role", ["viewer", "admin"], "Role changed from viewer to admin"],
  ["last_name", ["Hopper", ""], "Last name removed (was Hopper)"],
  ["tags", [[], ["a"]], 'Tags changed from [] to ["a"]'],
  ["email", "ada@example.com", "Email: ada@example.com"],
])("changeInWords describes the change of %s %j as: %s", (field, change, words) => {
  expect(changeInWords(field, change)).toBe(words);
});

it("actorInWords names the program and the person for whom it acted", () => {
  const person = { kind: "user", id: null, name: "ada@example.com" };
  expect(actorInWords({ actor_label: "Agent", on_behalf_of: person })).toBe("Agent for ada@example.com");
  expect(actorInWords({ actor_label: "ada@example.com" })).toBe("ada@example.com");
});
