import { i18n } from "@lingui/core";

import { prefs, type Language } from "./ui/prefs";

/**
 * A name that looks like a tag stays a name: `<Trans>` takes `<b>…</b>` and `<b/>` in the text with its values put in
 * for parts of the page, so a space without width comes behind the `<` of each. Its own `<0/>` is a value of its own.
 */
export function inert(value: unknown): unknown {
  if (typeof value !== "string" || /^<\d+\/>$/.test(value)) return value;
  return value.replace(/<(?=\/?[a-zA-Z0-9]+\/?>)/g, "<\u200b");
}

const translate = i18n._.bind(i18n) as (id: unknown, values?: Record<string, unknown>, options?: unknown) => string;

i18n._ = ((id: unknown, values?: Record<string, unknown>, options?: unknown): string => {
  const isMessage = typeof id === "object" && id !== null && "values" in id;
  const asked = isMessage ? { ...id, values: inertValues((id as { values?: Record<string, unknown> }).values) } : id;
  return translate(asked, inertValues(values), options);
}) as typeof i18n._;

function inertValues(values: Record<string, unknown> | undefined): Record<string, unknown> | undefined {
  return values && Object.fromEntries(Object.entries(values).map(([name, value]) => [name, inert(value)]));
}

/** The language of this browser's user, unless they have chosen one here. */
export function preferredLanguage(): Language {
  const chosen = prefs.get().language;
  if (chosen) return chosen;
  return navigator.languages.some((language) => language.toLowerCase().startsWith("zh")) ? "zh" : "en";
}

/** Loads all texts of a language (one file) and shows them. */
export async function showLanguage(language: Language): Promise<void> {
  const { messages } = await (language === "zh" ? import("./catalogs.zh") : import("./catalogs.en"));
  i18n.loadAndActivate({ locale: language, messages });
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
}
