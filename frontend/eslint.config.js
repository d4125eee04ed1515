import js from "@eslint/js";
import hooks from "eslint-plugin-react-hooks";
import { defineConfig, globalIgnores } from "eslint/config";
import { readdirSync } from "node:fs";
import typescript from "typescript-eslint";

/**
 * Forbid `files` to import modules that match `pattern`, with `import` or with `import()`.
 * Modules in other folders are imported by `@/`, modules in the same folder or below it by `./`.
 */
function forbidImports(files, pattern, message) {
  const regex = String.raw`^(\.\.(/|$)|${pattern})`;
  const selector = `ImportExpression[source.value=/${regex.replaceAll("/", "\\u002F")}/]`;
  return {
    files,
    rules: {
      "no-restricted-imports": ["error", { patterns: [{ regex, message }] }],
      "no-restricted-syntax": ["error", { selector, message }],
    },
  };
}

/**
 * The imports that are forbidden in each shared folder. `live`, `session` and `components` may import `api`, and
 * `components` may import `format`. Their tests may import the server of tests. Features may import all of these folders.
 */
const FORBIDDEN_IN_SHARED = {
  format: "@/",
  api: "@/(?!test-server$)",
  live: "@/(?!api/|test-server$)",
  session: "@/(?!api/|query-client$)",
  components: "@/(?!api/|format/|components/|test-server$)",
};
const FEATURES = readdirSync("src/features");

export default defineConfig(
  globalIgnores(["dist", "src/api/schema.d.ts"]),
  js.configs.recommended,
  {
    files: ["**/*.{ts,tsx}"],
    extends: [typescript.configs.recommended, hooks.configs.flat["recommended-latest"]],
    rules: { "react-hooks/incompatible-library": "off" }, // only for the React Compiler, which is not used here
  },
  Object.entries(FORBIDDEN_IN_SHARED).map(([name, pattern]) =>
    forbidImports(
      [`src/${name}/**`],
      pattern,
      `${name}/ is shared by the features and must not import this module.`,
    ),
  ),
  FEATURES.map((name) =>
    forbidImports(
      [`src/features/${name}/**`],
      "@/(features/|router$|main$)",
      "Features must not import each other. Move shared code to api, components, format, live or session.",
    ),
  ),
);
