import { i18n } from "@lingui/core";

import { prefs, type Language } from "./ui/prefs";

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
