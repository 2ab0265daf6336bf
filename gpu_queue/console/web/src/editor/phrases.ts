import { useLingui } from "@lingui/react/macro";
import { useMemo } from "react";

/** The words of the editor's own parts. */
export function usePhrases(): Record<string, string> {
  const { t } = useLingui();
  return useMemo(
    () => ({
      "Control character": t`Control character`,
      "Selection deleted": t`Selection deleted`,
      Find: t`Find`,
      Replace: t`Replace`,
      next: t`next`,
      previous: t`previous`,
      all: t`all`,
      "match case": t`match case`,
      regexp: t`regular expression`,
      "by word": t`by word`,
      replace: t`replace`,
      "replace all": t`replace all`,
      close: t`close`,
      "current match": t`current match`,
      "on line": t`on line`,
      "replaced match on line $": t`replaced match on line ${"$"}`,
      "replaced $ matches": t`replaced ${"$"} matches`,
    }),
    [t],
  );
}
