import type { MessageDescriptor } from "@lingui/core";
import { msg } from "@lingui/core/macro";

/** What tasks wait for, by the code of the reason. */
export const WHY_WORDS: Record<string, MessageDescriptor> = {
  gpus: msg`GPUs`,
  behind: msg`an earlier task`,
  reserve: msg`GPUs left to others`,
  concurrent: msg`a running task to end`,
  cpu_slots: msg`a slot without GPUs`,
  queue: msg`its queue`,
  after: msg`other tasks`,
  backoff: msg`a rest after a failure`,
  not_started: msg`another attempt to start`,
  lifetime: msg`a node with more time`,
  ending: msg`its last try to end`,
  next: msg`nothing: it starts`,
  infeasible: msg`a node with more GPUs`,
  memory: msg`GPUs with more memory`,
  pinned: msg`a node with these GPUs`,
  waited: msg`nothing: it waited too long`,
  settling: msg`its file to settle`,
  unread: msg`its file to be read`,
  owner: msg`nothing: a stranger's file`,
  script: msg`nothing: it cannot run`,
  storage: msg`the storage`,
  paused: msg`the end of a pause`,
  draining: msg`a node that takes tasks`,
  leaving: msg`a node that stays`,
  no_agent: msg`an agent`,
  silent: msg`a node that answers`,
};
