import { plural, t } from "@lingui/core/macro";
import { useLingui } from "@lingui/react";

import type { Wire } from "../../api/types";

type Note = Wire<"Note">;

function list(value: unknown): string {
  return Array.isArray(value) ? value.map(String).join(", ") : String(value ?? "");
}

/** A note of a plan in the page's language; of a code that is not known here, the server's English. */
export function useNoteWords(): (note: Note) => string {
  const { i18n } = useLingui();
  return (note) => {
    const params = note.params ?? {};
    const count = Number(params["count"] ?? 0);
    const names = list(params["names"] ?? params["nodes"]);
    const node = String(params["node"] ?? "");
    const by = String(params["by"] ?? "");
    switch (note.code) {
      case "not_found":
        return plural(count, { one: `In the queue no more: ${names}.`, other: `# are in the queue no more: ${names}.` });
      case "nodes_silent":
        return t(i18n)`No agent gives a sign of life on ${names}: what may still run there ends itself within a minute.`;
      case "dependents_unread":
        return plural(count, {
          one: "What comes after them is not known of 1 waiting task: its record was not read yet.",
          other: "What comes after them is not known of # waiting tasks: their records were not read yet.",
        });
      case "already_set":
        return by ? t(i18n)`It is so already, by ${by}; your name replaces that.` : t(i18n)`It is so already; your name replaces that.`;
      case "already_off":
        return t(i18n)`There is nothing to lift.`;
      case "may_run_twice":
        return t(i18n)`Should one of its tasks live after all, it may run twice for up to a minute.`;
      case "kept":
        return t(i18n)`submit.sh --keep has another allocation submitted in its place; shut all down to end that.`;
      case "no_such_node":
        return t(i18n)`No node is called ${node}.`;
      case "node_stopped":
        return t(i18n)`No agent serves on ${node} any more.`;
      case "node_gone":
        return t(i18n)`${node} was put away already.`;
      case "node_alive":
        return t(i18n)`${node} gave a sign of life a moment ago; Shut down ends its agent.`;
      default:
        return note.text;
    }
  };
}
