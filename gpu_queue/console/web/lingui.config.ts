import { formatter } from "@lingui/format-po";
import { defineConfig } from "@lingui/cli";

/** One catalog a directory below src/, so that two people who work on two pages do not touch one file. */
export default defineConfig({
  sourceLocale: "en",
  locales: ["en", "zh"],
  catalogs: [{ path: "<rootDir>/src/{name}/locales/{locale}", include: ["<rootDir>/src/{name}/"] }],
  format: formatter({ lineNumbers: false }),
  orderBy: "origin",
});
