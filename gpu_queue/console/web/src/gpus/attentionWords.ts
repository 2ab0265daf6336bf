import { plural } from "@lingui/core/macro";
import { useLingui } from "@lingui/react/macro";

import { said as saidIn } from "../api/said";
import type { Attention } from "../api/types";
import { useStore } from "../live/hooks";
import { duration } from "../ui/format";

export interface AttentionWords {
  title: string;
  text: string;
}

/** What a line of Attention says. Of codes that this page does not know it shows the server's words. */
export function useAttentionWords(): (one: Attention) => AttentionWords {
  const { t } = useLingui();
  const store = useStore();
  return (one) => {
    const living = store.living;
    const said = (name: string): string => {
      const value = one.params[name];
      return value === null || value === undefined ? "" : String(value);
    };
    const number = (name: string): number => Number(one.params[name] ?? NaN);
    const node = living?.nodes[one.node]?.title ?? (said("title") || one.node);
    const gpu = living?.gpus[one.gpu];
    const task = Object.values(living?.running ?? {}).find((running) => running.key === one.task)?.title ?? one.task;
    const index = gpu?.index ?? (said("index") || "?");
    const by = said("by");
    switch (one.code) {
      case "gpu_lost":
        return { title: t`${node} · GPU ${index} is lost`, text: said("problem") || gpu?.problem || "" };
      case "gpu_idle_under_task": {
        const percent = said("percent");
        return { title: t`${node} · GPU ${index} is idle`, text: task ? t`${task} has it, and uses less than ${percent} %` : saidIn(one.text) };
      }
      case "node_silent": {
        const tries = said("tries");
        const left = duration(number("left_s"));
        const text = tries === "" ? t`It has given no sign of life` : t`Another node takes over ${tries} of its tasks in ${left} at the earliest`;
        return { title: t`${node} is silent`, text };
      }
      case "node_ends_before_tasks": {
        const left = duration(number("ends_at_s") - store.now_s());
        const tasks = number("tasks");
        return { title: t`${node} ends in ${left}`, text: plural(tasks, { one: "# task may still run then", other: "# tasks may still run then" }) };
      }
      case "node_problem":
        return { title: t`${node} reports a problem`, text: said("problem") || saidIn(one.text) };
      case "draining":
        return { title: node ? t`${node} drains` : t`All nodes drain`, text: by };
      case "paused":
        return { title: t`The queue is paused`, text: by || t`Nothing new starts.` };
      case "keepalive_off":
        return { title: node ? t`Keep-alive is off on ${node}` : t`Keep-alive is off`, text: by };
      case "keepalive_failed":
        return { title: gpu ? t`${node} · GPU ${index} is not kept alive` : t`${node} is not kept alive`, text: said("reason") || saidIn(one.text) };
      case "files_skipped": {
        const count = number("count");
        return {
          title: plural(count, { one: "# file in pending/ is never run", other: "# files in pending/ are never run" }),
          text: "",
        };
      }
      case "spool_problem":
        return { title: t`Part of the queue could not be read`, text: saidIn(one.text) };
      case "no_agent":
        return { title: t`No agent serves this queue`, text: "" };
      case "old_agents":
        return { title: t`Agents of an older version`, text: saidIn(one.text) };
      default:
        return { title: saidIn(one.text), text: "" };
    }
  };
}
