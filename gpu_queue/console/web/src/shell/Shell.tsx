import { useLingui } from "@lingui/react/macro";
import { Outlet, useLocation, useNavigate, useRouter, useSearch } from "@tanstack/react-router";
import { lazy, Suspense, useEffect, useRef, useState, type ReactNode } from "react";

import { LiveProvider, useFresh } from "../live/hooks";
import { Plans } from "../tasks/plan/Plans";
import { useShortcut } from "../ui/keys";
import { Toasts } from "../ui/Toast";
import { Banners } from "./Banners";
import { ChooseJob } from "./ChooseJob";
import { useIsReadOnly } from "./console";
import { HelpDialog } from "./HelpDialog";
import { JobProvider, useChosenJob } from "./job";
import { MORE_PAGES, PAGES } from "./pages";
import { Palette } from "./Palette";
import styles from "./Shell.module.css";
import { TokenPanel } from "./TokenPanel";
import { FootBar, TopBar } from "./TopBar";

const SubmitDrawer = lazy(() => import("../submit/SubmitDrawer").then((room) => ({ default: room.SubmitDrawer })));
const GpuPanel = lazy(() => import("../gpus/GpuPanel").then((room) => ({ default: room.GpuPanel })));

/** Closes what is open as Back would, so that the next Back does not open it again. */
function useClose(): () => void {
  const navigate = useNavigate();
  const { history } = useRouter();
  const { pathname, search, state } = useLocation();
  const index = state.__TSR_index;
  const isOpen = search.submit !== undefined || search.gpu !== undefined; // of this very entry: the page's own follow later
  const before = useRef<{ pathname: string; index: number } | null>(null);
  useEffect(() => {
    if (!isOpen) before.current = { pathname, index };
  }, [isOpen, pathname, index]);
  return () => {
    const from = before.current;
    if (from !== null && from.pathname === pathname && from.index < index) history.go(from.index - index);
    else void navigate({ to: ".", search: (old) => ({ ...old, submit: undefined, gpu: undefined, past: undefined }), replace: true });
  };
}

/** The drawers that any page may show: the address says which. Back closes them. */
function Drawers() {
  const { submit, gpu } = useSearch({ from: "__root__" });
  const isReadOnly = useIsReadOnly();
  const close = useClose();
  return (
    <Suspense>
      {submit && isReadOnly === false && <SubmitDrawer onClose={close} />}
      {gpu !== undefined && !submit && <GpuPanel key={gpu} gpu={gpu} onClose={close} />}
    </Suspense>
  );
}

type Overlay = "help" | "palette" | null;

function PageKeys({ onOpen }: { onOpen: (overlay: Overlay) => void }) {
  const { t, i18n } = useLingui();
  const navigate = useNavigate();
  const isOn = useIsReadOnly() !== true;
  useShortcut("?", t`This list`, () => onOpen("help"));
  useShortcut("mod+k", t`Go to a task, node, page or action`, () => onOpen("palette"));
  useShortcut("n", t`Submit a script`, () => void navigate({ to: ".", search: (old) => ({ ...old, submit: true }) }), { isOn });
  useShortcut(PAGES[0].key, i18n._(PAGES[0].go), () => void navigate({ to: PAGES[0].to }));
  useShortcut(PAGES[1].key, i18n._(PAGES[1].go), () => void navigate({ to: PAGES[1].to }));
  useShortcut(PAGES[2].key, i18n._(PAGES[2].go), () => void navigate({ to: PAGES[2].to }));
  useShortcut(PAGES[3].key, i18n._(PAGES[3].go), () => void navigate({ to: PAGES[3].to }));
  useShortcut(MORE_PAGES[0].key, i18n._(MORE_PAGES[0].go), () => void navigate({ to: MORE_PAGES[0].to }));
  useShortcut(MORE_PAGES[1].key, i18n._(MORE_PAGES[1].go), () => void navigate({ to: MORE_PAGES[1].to }));
  useShortcut(PAGES[4].key, i18n._(PAGES[4].go), () => void navigate({ to: PAGES[4].to }));
  return null;
}

/** State needs no token on the same machine for the same user; for anybody else nothing is shown without it. */
function Content() {
  const { way } = useFresh();
  if (way === "refused") return <TokenPanel />;
  return (
    <>
      <Banners />
      <Suspense>
        <Outlet />
      </Suspense>
      <Drawers />
      <Plans />
    </>
  );
}

function Frame({ hasJob, children }: { hasJob: boolean; children: ReactNode }) {
  const { t } = useLingui();
  const [overlay, setOverlay] = useState<Overlay>(null);
  const skip = (): void => document.getElementById("content")?.focus();
  return (
    <>
      <button type="button" className={styles["skip"]} onClick={skip}>
        {t`To the content`}
      </button>
      <TopBar hasJob={hasJob} onFind={() => setOverlay("palette")} />
      <main id="content" className={styles["page"]} tabIndex={-1}>
        {children}
      </main>
      <FootBar />
      <Toasts />
      {hasJob && <PageKeys onOpen={setOverlay} />}
      {overlay === "help" && <HelpDialog onClose={() => setOverlay(null)} />}
      {overlay === "palette" && <Palette onClose={() => setOverlay(null)} />}
    </>
  );
}

function ForJob() {
  const job = useChosenJob();
  if (job === null) {
    return (
      <Frame hasJob={false}>
        <ChooseJob />
      </Frame>
    );
  }
  // Another queue is another page: nothing of the old one may stay on it.
  return (
    <LiveProvider key={job} job={job}>
      <Frame hasJob>
        <Content />
      </Frame>
    </LiveProvider>
  );
}

/** What stands around every page. */
export function Shell() {
  return (
    <JobProvider>
      <ForJob />
    </JobProvider>
  );
}
