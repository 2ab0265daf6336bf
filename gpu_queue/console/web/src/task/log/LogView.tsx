import { Trans, useLingui } from "@lingui/react/macro";
import { useNavigate } from "@tanstack/react-router";
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState, type PointerEvent, type ReactNode } from "react";

import { spool } from "../../api/base";
import { client, isAccessError } from "../../api/client";
import type { Wire } from "../../api/types";
import { Elapsed } from "../../live/Elapsed";
import { TokenPanel } from "../../shell/TokenPanel";
import { Banner } from "../../ui/Banner";
import { Button } from "../../ui/Button";
import { cx } from "../../ui/cx";
import { Empty } from "../../ui/Empty";
import { fileSize, thousands } from "../../ui/format";
import { useShortcut } from "../../ui/keys";
import { Skeleton } from "../../ui/Skeleton";
import "./ansi.css";
import { wordsOf } from "./ansi";
import { LogLine } from "./LogLine";
import styles from "./LogView.module.css";
import { useLog, type Sign } from "./useLog";
import { useSearchHits } from "./useSearchHits";

const NEAR_PX = 900;
const ROW_PX = 18;

export interface LogViewProps {
  job: string;
  taskKey: string;
  source: string;
  isRunning: boolean;
  startedAt_s: number | null | undefined;
  search: { q?: string | undefined; wrap?: true | undefined; at?: number | undefined };
  /** The choice of a log. */
  sources: ReactNode;
}

function useSignWords(): (sign: Sign, text: string) => string {
  const { t } = useLingui();
  return (sign, text) => {
    if (sign === "cut") return t`The file was cut; it was read anew.`;
    if (sign === "replaced") return t`Another file took its place; it was read anew.`;
    if (sign === "gone") return t`The file is gone. ${text}`;
    return "";
  };
}

/** A log of any size: real rows, so that selection, copying and the browser's own search work in them. */
export function LogView({ job, taskKey, source, isRunning, startedAt_s, search, sources }: LogViewProps) {
  const { t } = useLingui();
  const navigate = useNavigate();
  const path = spool(job, "tasks", taskKey, "logs", source);
  const [encoding, setEncoding] = useState<"utf-8" | "gb18030">("utf-8");
  const [state, actions] = useLog(path, encoding, search.at ?? null, isRunning);
  const { held, isFollowing } = state;
  const [query, setQuery] = useState(search.q ?? "");
  const [target, setTarget] = useState<number | null>(search.at ?? null);
  const [place, setPlace] = useState(0);
  const scroll = useRef<HTMLDivElement>(null);
  const field = useRef<HTMLInputElement>(null);
  const wanted = useRef<number | "end" | null>(search.at ?? "end");
  const seen = useRef({ first: -1, height: 0 });
  const words = useMemo(() => wordsOf(query), [query]);
  const signWords = useSignWords();

  const shownOffset = useCallback((): number => {
    const box = scroll.current;
    if (!box) return 0;
    const top = box.getBoundingClientRect().top;
    for (const line of box.querySelectorAll<HTMLElement>("[data-o]")) {
      if (line.getBoundingClientRect().bottom > top) return Number(line.dataset["o"]);
    }
    return 0;
  }, []);
  const hits = useSearchHits(path, query, encoding, shownOffset);

  const change = (more: Record<string, unknown>): void => void navigate({ to: ".", search: (old) => ({ ...old, ...more }), replace: true });

  // Rows that came before leave those that are read where they are; the end is kept in sight while following.
  useLayoutEffect(() => {
    const box = scroll.current;
    if (!box || !held) return;
    const before = seen.current;
    if (wanted.current === "end" || isFollowing) {
      box.scrollTop = box.scrollHeight;
      wanted.current = null;
    } else if (wanted.current !== null) {
      const offset = wanted.current;
      const lines = [...box.querySelectorAll<HTMLElement>("[data-o]")];
      const line = lines.filter((one) => Number(one.dataset["o"]) <= offset).pop() ?? lines[0];
      if (line) box.scrollTop += line.getBoundingClientRect().top - box.getBoundingClientRect().top - box.clientHeight / 3;
      wanted.current = null;
    } else if (before.first > held.first && before.height > 0) {
      box.scrollTop += box.scrollHeight - before.height;
    }
    seen.current = { first: held.first, height: box.scrollHeight };
    setPlace(shownOffset());
  }, [held, isFollowing, shownOffset]);

  const jump = useCallback(
    (anchor: number): void => {
      wanted.current = anchor < 0 ? "end" : anchor;
      seen.current = { first: -1, height: 0 };
      actions.follow(false);
      void actions.jump(anchor);
    },
    [actions],
  );

  const onScroll = (): void => {
    const box = scroll.current;
    if (!box || !held) return;
    const fromEnd = box.scrollHeight - box.scrollTop - box.clientHeight;
    if (isFollowing) {
      if (fromEnd > 3 * ROW_PX) actions.follow(false);
    } else {
      if (box.scrollTop < NEAR_PX) actions.before();
      if (fromEnd < NEAR_PX) actions.after();
    }
    setPlace(shownOffset());
  };

  const [current, setCurrent] = useState(-1);
  useEffect(() => setCurrent(-1), [query, path]);
  const goTo = (step: 1 | -1): void => {
    const { offsets } = hits;
    if (offsets.length === 0) return;
    const here = current >= 0 ? (offsets[current] ?? 0) : shownOffset() - (step > 0 ? 1 : 0);
    let at = current >= 0 ? current + step : offsets.findIndex((one) => one > here);
    if (current < 0 && step < 0) at = offsets.filter((one) => one < here).length - 1;
    if (at < 0) at = step > 0 ? 0 : offsets.length - 1;
    at %= offsets.length;
    const offset = offsets[at] ?? 0;
    setCurrent(at);
    setTarget(offset);
    const line = held?.lines.find((one) => one.row.o <= offset && offset < one.row.o + one.row.n);
    actions.follow(false);
    if (line) {
      scroll.current?.querySelector(`[data-o="${line.row.o}"]`)?.scrollIntoView({ block: "center", inline: "nearest" });
    } else {
      jump(offset);
    }
  };

  const seek = (event: PointerEvent<HTMLDivElement>): void => {
    if (event.type === "pointermove" && event.buttons !== 1) return;
    const box = event.currentTarget.getBoundingClientRect();
    const share = Math.min(1, Math.max(0, (event.clientY - box.top) / box.height));
    if (!held) return;
    jump(share > 0.995 ? -1 : Math.floor(share * held.size));
  };

  const focusSearch = (): void => {
    field.current?.focus();
    field.current?.select();
  };
  useShortcut("/", t`search the whole log`, focusSearch);
  useShortcut("mod+f", t`search the whole log; again: the browser's own`, (event) => {
    if (document.activeElement === field.current) return;
    event.preventDefault();
    focusSearch();
  });
  useShortcut("f", t`follow the log`, () => actions.follow(!isFollowing));
  useShortcut("w", t`wrap its lines`, () => change({ wrap: search.wrap ? undefined : true }));
  useShortcut("Home", t`beginning of the log`, () => jump(0));
  useShortcut("End", t`end of the log`, () => jump(-1));

  const whole = useCallback(
    async (offset: number): Promise<string> => (await client.get<Wire<"LogRow">>(`${path}/row`, { query: { offset, encoding } })).t,
    [path, encoding],
  );
  const hrefOf = useCallback((offset: number): string => {
    const url = new URL(location.href);
    url.searchParams.set("at", String(offset));
    return url.href;
  }, []);

  if (state.error && isAccessError(state.error)) return <TokenPanel />;
  const tools = (
    <div className={styles["tools"]}>
      <input
        ref={field}
        type="search"
        className={styles["search"]}
        placeholder={t`Search the whole log (Ctrl F)`}
        aria-label={t`Search the whole log`}
        value={query}
        maxLength={500}
        spellCheck={false}
        onChange={(event) => setQuery(event.target.value)}
        onBlur={() => change({ q: query || undefined })}
        onKeyDown={(event) => {
          if (event.key === "Enter") {
            event.preventDefault();
            goTo(event.shiftKey ? -1 : 1);
          } else if (event.key === "Escape") {
            setQuery("");
            scroll.current?.focus();
          }
        }}
      />
      <span className={styles["found"]} role="status">
        {query !== "" && hits.problem}
        {query !== "" && hits.problem === "" && (
          <>
            {current >= 0 && t`${thousands(current + 1)} of `}
            {hits.isDone ? t`${thousands(hits.count)} found` : t`${thousands(hits.count)} found so far …`}
          </>
        )}
      </span>
      {hits.offsets.length > 0 && (
        <>
          <Button size="small" aria-label={t`previous hit`} onClick={() => goTo(-1)}>
            ‹
          </Button>
          <Button size="small" aria-label={t`next hit`} onClick={() => goTo(1)}>
            ›
          </Button>
        </>
      )}
      <span className={styles["spring"]} />
      {sources}
      <Button aria-pressed={isFollowing} onClick={() => actions.follow(!isFollowing)}>
        {isFollowing ? <Trans>Following</Trans> : <Trans>Follow</Trans>}
      </Button>
      <Button aria-pressed={search.wrap ?? false} onClick={() => change({ wrap: search.wrap ? undefined : true })}>
        <Trans>Wrap</Trans>
      </Button>
      <Button onClick={() => location.assign(new URL(`${path}/raw`, document.baseURI).href)}>
        <Trans>Download</Trans>
      </Button>
    </div>
  );

  if (!held) {
    if (!state.error) return <Skeleton rows={20} height_px={18} />;
    const isEmpty = state.error.code === "no_log";
    return (
      <>
        {tools}
        <div className={styles["frame"]}>
          <Empty>
            {isEmpty && isRunning ? (
              <Trans>
                Nothing printed yet; it has run for <Elapsed since_s={startedAt_s} />.
              </Trans>
            ) : isEmpty ? (
              <Trans>It has no log: nothing was printed, or it has not run yet.</Trans>
            ) : (
              state.error.message
            )}
          </Empty>
        </div>
      </>
    );
  }

  const hasNumbers = true;
  const share = (offset: number): string => `${((offset / Math.max(1, held.size)) * 100).toFixed(3)}%`;
  const most = Math.max(1, ...hits.bins);
  return (
    <>
      {tools}
      {state.sign && state.sign.sign !== "ended" && <Banner tone="notice">{signWords(state.sign.sign, state.sign.text)}</Banner>}
      <div className={cx(styles["frame"], search.wrap && styles["wrap"])}>
        <div
          ref={scroll}
          className={styles["scroll"]}
          onScroll={onScroll}
          tabIndex={0}
          role="log"
          aria-live="off"
          aria-label={t`Log`}
        >
          <div className={styles["rows"]}>
            {held.lines.length === 0 && (
              <div className={styles["end"]}>
                {isRunning ? (
                  <Trans>
                    Nothing printed yet; it has run for <Elapsed since_s={startedAt_s} />.
                  </Trans>
                ) : (
                  <Trans>The log is empty.</Trans>
                )}
              </div>
            )}
            {held.lines.map((line) => (
              <LogLine
                key={line.row.o}
                line={line}
                words={words}
                href={hrefOf(line.row.o)}
                isTarget={target !== null && target >= line.row.o && target < line.row.o + Math.max(1, line.row.n)}
                hasNumbers={hasNumbers}
                whole={whole}
              />
            ))}
          </div>
        </div>
        <div className={styles["rail"]} onPointerDown={seek} onPointerMove={seek} aria-hidden>
          <div className={styles["thumb"]} style={{ top: share(place), height: share(Math.max(0, held.next - held.first) / 8) }} />
          {hits.bins.map(
            (count, bin) =>
              count > 0 && (
                <div key={bin} className={styles["tick"]} style={{ top: `${bin / 2}%`, opacity: 0.45 + (0.55 * count) / most }} />
              ),
          )}
        </div>
      </div>
      <div className={styles["foot"]}>
        {held.count !== null && <span>{t`${thousands(held.count)} lines`}</span>}
        <span>{fileSize(held.size)}</span>
        <label>
          <span className="sr-only">
            <Trans>Encoding</Trans>
          </span>
          <select
            className={styles["select"]}
            value={encoding}
            onChange={(event) => setEncoding(event.target.value === "gb18030" ? "gb18030" : "utf-8")}
          >
            <option value="utf-8">UTF-8</option>
            <option value="gb18030">GB 18030</option>
          </select>
        </label>
        {held.replaced > 0 && <span>{t`${thousands(held.replaced)} bytes here are no text of this encoding`}</span>}
        {isFollowing && (
          <span>
            <Trans>follows what is printed</Trans>
          </span>
        )}
      </div>
    </>
  );
}
