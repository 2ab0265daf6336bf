import { Trans, useLingui } from "@lingui/react/macro";
import { IconDownload } from "@tabler/icons-react";
import { useNavigate } from "@tanstack/react-router";
import { useCallback, useEffect, useId, useLayoutEffect, useMemo, useRef, useState, type ReactNode } from "react";

import { spool, url } from "../../api/base";
import { client, isAccessError } from "../../api/client";
import { errorWords } from "../../api/said";
import type { Wire } from "../../api/types";
import { Elapsed } from "../../live/Elapsed";
import { ACCESS_CHANGED } from "../../live/events";
import { TokenPanel } from "../../shell/TokenPanel";
import { Banner } from "../../ui/Banner";
import { Button } from "../../ui/Button";
import { cx } from "../../ui/cx";
import { Empty } from "../../ui/Empty";
import { useIsNarrow } from "../../ui/hooks";
import { useShortcut } from "../../ui/keys";
import { Skeleton } from "../../ui/Skeleton";
import "./ansi.css";
import { wordsOf } from "./ansi";
import { LogFoot, type Encoding } from "./LogFoot";
import { LogRail } from "./LogRail";
import { LogRows } from "./LogRows";
import { LogSearch } from "./LogSearch";
import styles from "./LogView.module.css";
import { END, type Sign } from "./reader";
import { useFill } from "./useFill";
import { useLog } from "./useLog";
import { useScroll } from "./useScroll";
import { useSearchHits } from "./useSearchHits";

export interface LogViewProps {
  job: string;
  taskKey: string;
  source: string;
  /** Whether more is to be expected. */
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

/** What stands there while nothing was printed. */
function Nothing({ isRunning, startedAt_s }: { isRunning: boolean; startedAt_s: number | null | undefined }) {
  return isRunning ? (
    <Trans>
      Nothing printed yet; it has run for <Elapsed since_s={startedAt_s} />.
    </Trans>
  ) : (
    <Trans>The log is empty: nothing was printed.</Trans>
  );
}

/** A log of any size: real rows, so that selection, copying and the browser's own search work in them. */
export function LogView({ job, taskKey, source, isRunning, startedAt_s, search, sources }: LogViewProps) {
  const { t } = useLingui();
  const navigate = useNavigate();
  const path = spool(job, "tasks", taskKey, "logs", source);
  const [encoding, setEncoding] = useState<Encoding>("utf-8");
  const [state, reader] = useLog(path, encoding);
  const { held, isFollowing, error } = state;
  // A phone has no room for long rows: there they are always wrapped.
  const isNarrow = useIsNarrow();
  const wrap = search.wrap ?? isNarrow;
  const { box, rows, place, onScroll, goTo, here } = useScroll(held, isFollowing, reader, isRunning, wrap);
  const [query, setQuery] = useState(search.q ?? "");
  const [target, setTarget] = useState<number | null>(search.at ?? null);
  const [current, setCurrent] = useState<number | null>(null);
  const field = useRef<HTMLInputElement>(null);
  const frame = useRef<HTMLDivElement>(null);
  useFill(frame);
  const id = useId();
  const words = useMemo(() => wordsOf(query), [query]);
  const signWords = useSignWords();
  const change = useCallback(
    (more: { q?: string | undefined; wrap?: true | undefined; at?: number | undefined }, replace = true): void =>
      void navigate({ to: ".", search: (old) => ({ ...old, ...more }), replace }),
    [navigate],
  );

  // A running task is followed, an ended one opens at its end; an address that names a byte shows that.
  const begin = useRef<number>(search.at ?? END);
  useEffect(() => {
    reader.isExpected = isRunning;
    if (isRunning && begin.current === END) reader.follow(true);
    else if (reader.read().held === null) goTo(begin.current);
  }, [reader, isRunning, goTo]);
  // The token was shown: what was refused is asked for again.
  useEffect(() => {
    const again = (): void => {
      if (!reader.read().error) return;
      if (isRunning && begin.current === END) reader.follow(true);
      else void reader.jump(begin.current);
    };
    window.addEventListener(ACCESS_CHANGED, again);
    return () => window.removeEventListener(ACCESS_CHANGED, again);
  }, [reader, isRunning]);
  const addressed = useRef(search.at);
  useEffect(() => {
    if (search.at === addressed.current) return;
    addressed.current = search.at;
    setTarget(search.at ?? null);
    if (search.at !== undefined) goTo(search.at);
  }, [search.at, goTo]);

  const from = useCallback(() => place.read().top, [place]);
  const found = useSearchHits(path, query, encoding, from);
  useEffect(() => setCurrent(null), [query]);
  useEffect(() => {
    const timer = setTimeout(() => {
      if ((search.q ?? "") !== query) change({ q: query || undefined });
    }, 500);
    return () => clearTimeout(timer);
  }, [query]);

  const step = (direction: 1 | -1): void => {
    if (!held || query === "") return;
    const at = current ?? (direction > 0 ? place.read().top - 1 : place.read().bottom);
    found.next(at, direction, held.size).then(
      (offset) => {
        if (offset === null) return;
        setCurrent(offset);
        setTarget(offset);
        addressed.current = offset;
        change({ at: offset });
        goTo(offset);
      },
      () => undefined, // it is told where the search itself fails
    );
  };
  // A hit far to the right of its row is brought in sight.
  useLayoutEffect(() => {
    if (current === null || !rows.current) return;
    const mark = rows.current.querySelector(`.${styles["target"] ?? ""} mark`);
    mark?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [current, held, rows]);

  const focusSearch = (): void => {
    field.current?.focus();
    field.current?.select();
  };
  const toggleWrap = (): void => change({ wrap: wrap ? undefined : true });
  const toggleFollow = (): void => reader.follow(!isFollowing);
  useShortcut("/", t`search the whole log`, focusSearch);
  useShortcut("mod+f", t`search the whole log; again: the browser's own`, focusSearch, { applies: () => document.activeElement !== field.current });
  useShortcut("f", t`follow the log`, toggleFollow);
  useShortcut("w", t`wrap its lines`, toggleWrap);
  useShortcut("Home", t`beginning of the log`, () => goTo(0));
  useShortcut("End", t`end of the log`, () => goTo(END));

  const whole = useCallback(
    async (offset: number): Promise<string> => (await client.get<Wire<"LogRow">>(`${path}/row`, { query: { offset, encoding } })).t,
    [path, encoding],
  );
  const onAddress = useCallback(
    (offset: number): void => {
      addressed.current = offset;
      setTarget(offset);
      change({ at: offset }, false);
    },
    [change],
  );
  const { q } = search;
  const href = useMemo(() => {
    const at = new URL(location.href);
    at.searchParams.delete("at");
    at.hash = "";
    return `${at.href}${at.search ? "&" : "?"}at=`;
  }, [q, wrap, source]);

  if (error && isAccessError(error)) return <TokenPanel />;
  return (
    <>
      <div className={styles["tools"]}>
        <LogSearch
          ref={field}
          query={query}
          search={found}
          current={current}
          onQuery={setQuery}
          onStep={step}
          onLeave={() => {
            setQuery("");
            box.current?.focus();
          }}
        />
        <span className={styles["spring"]} />
        {sources}
        {isRunning && (
          <Button aria-pressed={isFollowing} className={cx(isFollowing && styles["on"])} onClick={toggleFollow}>
            {isFollowing ? <Trans>Following</Trans> : <Trans>Follow</Trans>}
          </Button>
        )}
        {!isNarrow && (
          <Button aria-pressed={wrap} className={cx(wrap && styles["on"])} onClick={toggleWrap}>
            <Trans>Wrap</Trans>
          </Button>
        )}
        <a className={styles["download"]} href={url(`${path}/raw`)} aria-label={t`Download`} title={t`Download`} download>
          {isNarrow ? <IconDownload size={18} aria-hidden /> : <Trans>Download</Trans>}
        </a>
      </div>
      {state.sign && state.sign.sign !== "ended" && (
        <div className={styles["notice"]}>
          <Banner tone="notice">{signWords(state.sign.sign, state.sign.text)}</Banner>
        </div>
      )}
      <div ref={frame} className={cx(styles["frame"], wrap && styles["wrap"])}>
        {held ? (
          <>
            {/* A reader may go through it row by row; what comes is not read aloud: a training prints without end. */}
            <div
              ref={box}
              id={id}
              className={styles["scroll"]}
              onScroll={onScroll}
              tabIndex={0}
              role="log"
              aria-live="off"
              aria-label={t`Log`}
            >
              {held.lines.length === 0 && (
                <p className={styles["end"]}>
                  <Nothing isRunning={isRunning} startedAt_s={startedAt_s} />
                </p>
              )}
              <LogRows
                ref={rows}
                lines={held.lines}
                words={words}
                href={href}
                target={target}
                isSought={current !== null}
                whole={whole}
                goTo={goTo}
                onAddress={onAddress}
              />
            </div>
            <LogRail place={place} size={held.size} bins={found.bins} controls={id} onSeek={goTo} />
          </>
        ) : error ? (
          <Empty>{error.code === "no_log" ? <Nothing isRunning={isRunning} startedAt_s={startedAt_s} /> : errorWords(error)}</Empty>
        ) : (
          <div className={styles["loading"]}>
            <Skeleton rows={20} height_px={18} />
          </div>
        )}
      </div>
      <LogFoot
        held={held}
        problem={held && error ? errorWords(error) : ""}
        encoding={encoding}
        onEncoding={(next) => {
          begin.current = here();
          setEncoding(next);
        }}
      />
    </>
  );
}
