import type { MessageDescriptor } from "@lingui/core";
import { msg } from "@lingui/core/macro";
import { useLingui } from "@lingui/react";

import type { Use, Words } from "../api/types";

/** What a GPU does, where its task would stand. */
export const USE_WORDS: Record<Exclude<Use, "task">, MessageDescriptor> = {
  keepalive: msg`kept alive`,
  idle: msg`idle`,
  foreign: msg`somebody else`,
  lost: msg`lost`,
  unknown: msg`unknown`,
};

/** What a node does, where it is something else than to serve. */
export const NODE_WORDS: Record<string, MessageDescriptor> = {
  paused: msg`paused`,
  draining: msg`draining`,
  leaving: msg`leaving`,
  stopped: msg`stopped`,
  silent: msg`silent`,
  gone: msg`gone`,
  unknown: msg`unknown`,
};

/** A sentence that the server has in both languages. */
export function useSaid(): (words: Words) => string {
  const { i18n } = useLingui();
  return (words) => (i18n.locale === "zh" ? words.zh : words.en);
}
