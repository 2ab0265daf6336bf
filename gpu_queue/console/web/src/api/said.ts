import { i18n } from "@lingui/core";
import { t } from "@lingui/core/macro";

import { ApiError } from "./client";
import type { Words } from "./types";

/** A sentence that the server has in both languages, in the one that is shown. */
export function said(words: Words): string {
  return i18n.locale === "zh" ? words.zh : words.en;
}

/** What went wrong with a request, for the reader. */
export function errorWords(error: unknown): string {
  if (error instanceof ApiError) {
    if (error.code === "no_answer") return t`The console does not answer.`;
    if (error.text) return said(error.text);
    const { message } = error;
    return t`The console answered: ${message}`;
  }
  return error instanceof Error ? error.message : String(error);
}

/** Several things in a row, as the language parts them. */
export function listed(parts: readonly string[]): string {
  return parts.join(i18n.locale === "zh" ? "；" : "; ");
}

/** The same as a sentence of its own, with a full stop. */
export function sentence(words: Words): string {
  if (i18n.locale === "zh") return `${words.zh}。`;
  return `${words.en.charAt(0).toUpperCase()}${words.en.slice(1)}.`;
}
