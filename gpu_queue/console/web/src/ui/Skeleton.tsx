import { useEffect, useState } from "react";

import styles from "./Skeleton.module.css";

/** Bars in the place of rows that are on their way; nothing for the first 300 ms. */
export function Skeleton({ rows = 6, height_px = 26 }: { rows?: number; height_px?: number }) {
  const [isShown, setShown] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setShown(true), 300);
    return () => clearTimeout(timer);
  }, []);
  return (
    <div aria-busy="true" style={{ height: rows * height_px }} className={isShown ? styles["rows"] : undefined}>
      {isShown &&
        Array.from({ length: rows }, (_, at) => (
          <div key={at} className={styles["row"]} style={{ height: height_px }}>
            <span style={{ width: `${64 - ((at * 17) % 38)}%` }} />
          </div>
        ))}
    </div>
  );
}
