import { i18n } from "@lingui/core";
import { I18nProvider } from "@lingui/react";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

import { ApiError } from "./api/client";
import { preferredLanguage, showLanguage } from "./i18n";
import { router } from "./router";
import { takeTokenFromAddress } from "./shell/access";
import { followTheme } from "./shell/theme";
import "./ui/base.css";
import "./ui/tokens.css";

/** What the server refuses is refused again; only silence is worth another try. */
function retries(failures: number, error: Error): boolean {
  return failures < 2 && !(error instanceof ApiError && error.status >= 400 && error.status < 500);
}

const queries = new QueryClient({
  defaultOptions: { queries: { retry: retries, refetchOnWindowFocus: false, staleTime: 5_000 } },
});

async function start(): Promise<void> {
  const root = document.getElementById("root");
  if (!root) throw new Error("index.html has no element #root");
  followTheme();
  await Promise.all([showLanguage(preferredLanguage()), takeTokenFromAddress()]);
  createRoot(root).render(
    <StrictMode>
      <I18nProvider i18n={i18n}>
        <QueryClientProvider client={queries}>
          <RouterProvider router={router} />
        </QueryClientProvider>
      </I18nProvider>
    </StrictMode>,
  );
}

void start();
