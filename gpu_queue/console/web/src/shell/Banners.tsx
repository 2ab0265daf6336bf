import { Trans } from "@lingui/react/macro";

import { useLiving, useNow } from "../live/hooks";
import { Banner } from "../ui/Banner";
import { clockTime, duration } from "../ui/format";

/** What holds for everything that is shown: the shared directory does not answer. */
export function Banners() {
  const storage = useLiving("storage");
  const now_s = useNow(1);
  const silent_since_s = storage?.silent_since_s ?? null;
  if (silent_since_s === null) return null;
  const silent = duration(now_s - silent_since_s);
  const seen = clockTime(storage?.seen_at_s);
  return (
    <Banner tone="trouble">
      {storage?.seen_at_s == null ? (
        <Trans>The shared directory has not answered for {silent}. Nothing was seen yet.</Trans>
      ) : (
        <Trans>
          The shared directory has not answered for {silent}. You see {seen}. Stops and cancels wait.
        </Trans>
      )}
    </Banner>
  );
}
