import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  redirect,
  retainSearchParams,
} from "@tanstack/react-router";

import { basePath } from "./api/base";
import { batchesSearch, batchSearch } from "./batch/search";
import { filesSearch } from "./files/search";
import { gpusSearch } from "./gpus/search";
import { historySearch } from "./history/search";
import { parseSearch, rootSearch, stringifySearch } from "./search";
import { ruleSearch } from "./rule/search";
import { NotFound } from "./shell/NotFound";
import { PageError } from "./shell/PageError";
import { Shell } from "./shell/Shell";
import { taskSearch } from "./task/search";
import { tasksSearch } from "./tasks/search";

const rootRoute = createRootRoute({
  component: Shell,
  notFoundComponent: NotFound,
  errorComponent: PageError,
  validateSearch: rootSearch,
  search: { middlewares: [retainSearchParams(["job"])] },
});

const toGpus = (): never => {
  throw redirect({ to: "/ui/gpu", replace: true });
};

const indexRoute = createRoute({ getParentRoute: () => rootRoute, path: "/", beforeLoad: toGpus });
const uiRoute = createRoute({ getParentRoute: () => rootRoute, path: "/ui", beforeLoad: toGpus });

const gpusRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/ui/gpu",
  validateSearch: gpusSearch,
  component: lazyRouteComponent(() => import("./gpus/GpusPage"), "GpusPage"),
});

const tasksRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/ui/state",
  validateSearch: tasksSearch,
  component: lazyRouteComponent(() => import("./tasks/TasksPage"), "TasksPage"),
});

const taskRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/ui/state/$id",
  validateSearch: taskSearch,
  component: lazyRouteComponent(() => import("./task/TaskPage"), "TaskPage"),
});

const historyRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/ui/history",
  validateSearch: historySearch,
  component: lazyRouteComponent(() => import("./history/HistoryPage"), "HistoryPage"),
});

const batchesRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/ui/batch",
  validateSearch: batchesSearch,
  component: lazyRouteComponent(() => import("./batch/BatchesPage"), "BatchesPage"),
});

const batchRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/ui/batch/$key",
  validateSearch: batchSearch,
  component: lazyRouteComponent(() => import("./batch/BatchPage"), "BatchPage"),
});

const filesPage = lazyRouteComponent(() => import("./files/FilesPage"), "FilesPage");

const filesRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/ui/command",
  validateSearch: filesSearch,
  component: filesPage,
});

const fileRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/ui/command/$mode/$index",
  validateSearch: filesSearch,
  component: filesPage,
});

const ruleRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/ui/rule",
  validateSearch: ruleSearch,
  component: lazyRouteComponent(() => import("./rule/RulePage"), "RulePage"),
});

const settingsRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/ui/setting",
  component: lazyRouteComponent(() => import("./settings/SettingsPage"), "SettingsPage"),
});

export const router = createRouter({
  routeTree: rootRoute.addChildren([indexRoute, uiRoute, gpusRoute, tasksRoute, taskRoute, filesRoute, fileRoute, ruleRoute, settingsRoute, historyRoute, batchesRoute, batchRoute]),
  basepath: basePath,
  parseSearch,
  stringifySearch,
  defaultPreload: "intent",
  scrollRestoration: true,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
