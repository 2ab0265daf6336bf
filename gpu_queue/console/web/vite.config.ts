import { lingui } from "@lingui/vite-plugin";
import react from "@vitejs/plugin-react";
import { basename, dirname, relative } from "node:path";
import { defineConfig } from "vite";

/** Readable names of classes that depend on nothing but the file's place below src/: builds stay the same bit for bit. */
function className(local: string, file: string): string {
  const path = file.split("?")[0] ?? file;
  const room = relative(`${import.meta.dirname}/src`, dirname(path)).replaceAll("/", "-");
  return `${room}-${basename(path, ".module.css")}-${local}`;
}

const server = process.env["GPUQ_CONSOLE"] ?? "http://127.0.0.1:29214";
const passedOn = { target: server, headers: { origin: server } };

export default defineConfig({
  base: "",
  plugins: [react(), lingui({ macroTransform: true, failOnCompileError: true })],
  css: { modules: { generateScopedName: className } },
  build: {
    outDir: "../static",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    target: "es2023",
  },
  server: { proxy: { "/api": passedOn, "/access": passedOn, "/healthz": passedOn } },
});
