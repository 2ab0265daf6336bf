import { Trans } from "@lingui/react/macro";
import { useEffect } from "react";

import { duration } from "../ui/format";
import { useAge, useFresh } from "../live/hooks";
import styles from "./StreamState.module.css";

const STALE_S = 30;

function Words() {
  const { way } = useFresh();
  const age_s = useAge();
  const age = duration(age_s);
  switch (way) {
    case "live":
      return <Trans>live</Trans>;
    case "polling":
      return <Trans>polling</Trans>;
    case "loading":
      return <Trans>loading</Trans>;
    case "refused":
      return <Trans>no token</Trans>;
    case "missing":
      return <Trans>no queue</Trans>;
    case "reconnecting":
      return age_s === null ? <Trans>reconnecting</Trans> : <Trans>reconnecting; {age} old</Trans>;
  }
}

/** How fresh what is shown is: a dot and a word. After 30 s without news all numbers are paler. */
export function StreamState() {
  const { way } = useFresh();
  const age_s = useAge();
  const isStale = way !== "live" && way !== "polling" && age_s !== null && age_s > STALE_S;
  useEffect(() => {
    document.documentElement.toggleAttribute("data-stale", isStale);
    return () => document.documentElement.removeAttribute("data-stale");
  }, [isStale]);
  return (
    <span className={styles["state"]} data-way={way}>
      <span className={styles["dot"]} aria-hidden="true" />
      <Words />
    </span>
  );
}
