import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";

it("the types are those of the OpenAPI document; if not, run `npm run gen:api`", () => {
  const folder = mkdtempSync(join(tmpdir(), "drover-types-"));
  try {
    const fresh = join(folder, "schema.d.ts");
    const script: string = JSON.parse(readFileSync("package.json", "utf8")).scripts["gen:api"];
    const [, ...words] = script.replace("src/api/schema.d.ts", fresh).split(" ");
    execFileSync(process.execPath, ["node_modules/openapi-typescript/bin/cli.js", ...words], {
      stdio: "ignore",
    });
    expect(readFileSync(fresh, "utf8") === readFileSync("src/api/schema.d.ts", "utf8")).toBe(true);
  } finally {
    rmSync(folder, { recursive: true });
  }
}, 60_000);
