import { useLingui } from "@lingui/react/macro";
import { Outlet, useNavigate, useSearch } from "@tanstack/react-router";
import { lazy, Suspense, useState } from "react";

import { useShortcut } from "../ui/keys";
import { Toasts } from "../ui/Toast";
import { ChooseJob } from "./ChooseJob";
import { HelpDialog } from "./HelpDialog";
import { JobProvider, useChosenJob } from "./job";
import { PAGES } from "./pages";
import styles from "./Shell.module.css";
import { FootBar, TopBar } from "./TopBar";

const SubmitDrawer = lazy(() => import("../submit/SubmitDrawer").then((room) => ({ default: room.SubmitDrawer })));

/** The drawers that any page may show: the address says which. Back closes them. */
function Drawers() {
  const { submit } = useSearch({ from: "__root__" });
  const navigate = useNavigate();
  if (!submit) return null;
  return (
    <Suspense>
      <SubmitDrawer onClose={() => void navigate({ to: ".", search: (old) => ({ ...old, submit: undefined }) })} />
    </Suspense>
  );
}

function PageKeys({ onHelp }: { onHelp: () => void }) {
  const { t, i18n } = useLingui();
  const navigate = useNavigate();
  useShortcut("?", t`This list`, onHelp);
  useShortcut("n", t`Submit a script`, () => void navigate({ to: ".", search: (old) => ({ ...old, submit: true }) }));
  useShortcut(PAGES[0].key, i18n._(PAGES[0].go), () => void navigate({ to: PAGES[0].to }));
  useShortcut(PAGES[1].key, i18n._(PAGES[1].go), () => void navigate({ to: PAGES[1].to }));
  useShortcut(PAGES[2].key, i18n._(PAGES[2].go), () => void navigate({ to: PAGES[2].to }));
  return null;
}

function Content() {
  const job = useChosenJob();
  if (job === null) return <ChooseJob />;
  // Another queue is another page: nothing of the old one may stay on it.
  return (
    <div key={job}>
      <Suspense>
        <Outlet />
      </Suspense>
      <Drawers />
    </div>
  );
}

/** What stands around every page. */
export function Shell() {
  const { t } = useLingui();
  const [isHelpOpen, setHelpOpen] = useState(false);
  return (
    <JobProvider>
      <a className={styles["skip"]} href="#content" onClick={(event) => {
        event.preventDefault();
        document.getElementById("content")?.focus();
      }}>
        {t`To the content`}
      </a>
      <TopBar onFind={() => setHelpOpen(true)} />
      <main id="content" className={styles["page"]} tabIndex={-1}>
        <Content />
      </main>
      <FootBar />
      <Toasts />
      <PageKeys onHelp={() => setHelpOpen(true)} />
      {isHelpOpen && <HelpDialog onClose={() => setHelpOpen(false)} />}
    </JobProvider>
  );
}
