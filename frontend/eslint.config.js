import js from "@eslint/js";
import hooks from "eslint-plugin-react-hooks";
import { defineConfig, globalIgnores } from "eslint/config";
import { readdirSync } from "node:fs";
import typescript from "typescript-eslint";

/**
 * Forbid `files` to import what `pattern` matches, by `import` and by `import()`.
 * Another folder is always named from `@/`, a file of the same folder or below by `./`.
 */
function zone(files, pattern, message) {
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

/** What each shared folder may not import: the tree is `format`, `api` <- `live`, `session`, `components` <- features. */
const SHARED = {
  format: "@/",
  api: "@/",
  live: "@/(?!api/)",
  session: "@/(?!api/|query-client$)",
  components: "@/(?!api/|format/|components/)",
};
const FEATURES = readdirSync("src/features");

export default defineConfig(
  globalIgnores(["dist", "src/api/schema.d.ts"]),
  js.configs.recommended,
  {
    files: ["**/*.{ts,tsx}"],
    extends: [typescript.configs.recommended, hooks.configs.flat["recommended-latest"]],
    rules: { "react-hooks/incompatible-library": "off" }, // it is about the React Compiler, which is not used here
  },
  Object.entries(SHARED).map(([name, pattern]) =>
    zone([`src/${name}/**`], pattern, `${name}/ is shared by the features and knows nothing above it.`),
  ),
  FEATURES.map((name) =>
    zone(
      [`src/features/${name}/**`],
      "@/(features/|router$|main$)",
      "Features do not import features: move what both need to api, components, format, live or session.",
    ),
  ),
);
