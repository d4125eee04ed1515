import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { fileURLToPath } from "node:url";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

/** Writes a `.gz` file beside each text asset. The server sends it to browsers that accept gzip. */
function compressAssets(): Plugin {
  let folder = "";
  return {
    name: "compress-assets",
    apply: "build",
    configResolved: ({ build }) => {
      folder = join(build.outDir, "assets");
    },
    closeBundle: async () => {
      const names = (await readdir(folder)).filter((name) => /\.(js|css|svg)$/.test(name));
      await Promise.all(names.map((name) => compress(join(folder, name))));
    },
  };
}

async function compress(file: string): Promise<void> {
  await writeFile(`${file}.gz`, await promisify(gzip)(await readFile(file), { level: 9 }));
}

// The server serves the files in `dist` under `/static/`, and `dist/index.html` as every page.
export default defineConfig(({ command }) => ({
  base: command === "build" ? "/static/" : "/",
  plugins: [react(), tailwindcss(), compressAssets()],
  resolve: { alias: { "@": fileURLToPath(new URL("./src", import.meta.url)) } },
  build: {
    manifest: true,
    // Inlined assets are data: URLs, which the Content-Security-Policy 'self' does not allow.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    cssTarget: ["chrome123", "firefox121", "safari17.5"],
  },
  server: {
    host: "127.0.0.1",
    // Drover refuses requests of pages whose address is not the one that was asked for, so the Host stays as it is.
    proxy: {
      "/api": { target: process.env.DROVER_API ?? "http://127.0.0.1:8000", changeOrigin: false, ws: true },
    },
  },
  // A slow machine must not make a test fail.
  test: {
    environment: "node",
    include: ["src/**/*.test.{ts,tsx}"],
    testTimeout: 60_000,
    isolate: false,
    setupFiles: ["./src/separate-modules.ts"],
    unstubGlobals: true,
    restoreMocks: true,
  },
}));
