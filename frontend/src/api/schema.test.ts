import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";

it("the generated types match the OpenAPI document (to update them, run `npm run gen:api`)", () => {
  const folder = mkdtempSync(join(tmpdir(), "drover-types-"));
  try {
    const generated = join(folder, "schema.d.ts");
    const script: string = JSON.parse(readFileSync("package.json", "utf8")).scripts["gen:api"];
    const [, ...args] = script.replace("src/api/schema.d.ts", generated).split(" ");
    execFileSync(process.execPath, ["node_modules/openapi-typescript/bin/cli.js", ...args], {
      stdio: "ignore",
    });
    expect(readFileSync(generated, "utf8") === readFileSync("src/api/schema.d.ts", "utf8")).toBe(true);
  } finally {
    rmSync(folder, { recursive: true });
  }
}, 60_000);
