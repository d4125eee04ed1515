import { expect, it } from "vitest";
import { csvText } from "./csv";

it("quotes separators, quotes and line breaks", () => {
  expect(
    csvText([
      ["name", "note"],
      ['Ada "A"', "a,b\nc"],
    ]),
  ).toBe('name,note\r\n"Ada ""A""","a,b\nc"\r\n');
  expect(csvText([[null, ""]])).toBe(",\r\n");
});

it("has no cell that a spreadsheet evaluates", () => {
  const formulas = ["=1+1", "+1", "-1", "@A1", "\t=1", "\uff1d1"];
  expect(csvText([formulas])).toBe("'=1+1,'+1,'-1,'@A1,'\t=1,'\uff1d1\r\n");
});
