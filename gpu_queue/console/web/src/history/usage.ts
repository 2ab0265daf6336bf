import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";

import { spool } from "../api/base";
import { client } from "../api/client";
import type { Wire } from "../api/types";
import { useStore } from "../live/hooks";
import { useJob } from "../shell/job";
import { RANGE_S, USUAL } from "./search";

export type Usage = Wire<"Usage">;
export type Users = Wire<"Users">;
export type Spent = Wire<"Spent">;
export type UseName = Usage["uses"][number]["use"];

const route = getRouteApi("/ui/history");
const REFRESH_MS = 60_000;
const UNREAD_MS = 1_500;
const DAY_S = 86_400;

/** What is asked for: which GPUs, and until when; `to` is the moment of asking where the address names none. */
function useAsked() {
  const store = useStore();
  const { range = USUAL, node, card, to } = route.useSearch();
  const query = (): Record<string, string | number | undefined> => {
    const end = to ?? Math.floor(store.now_s());
    return { from: end - RANGE_S[range], to: end, node: card === undefined ? node : undefined, gpu: card };
  };
  return { key: [useJob(), range, node, card, to] as const, query, isNow: to === undefined || to > store.now_s(), length_s: RANGE_S[range] };
}

/** Utilisation, power and uses. */
export function useUsage() {
  const job = useJob();
  const { key, query, isNow } = useAsked();
  return useQuery({
    queryKey: ["usage", ...key],
    queryFn: ({ signal }) => client.get<Usage>(spool(job, "usage"), { query: query(), signal }),
    placeholderData: keepPreviousData,
    refetchInterval: isNow ? REFRESH_MS : false,
  });
}

/** Whose tasks it was; asked again soon where not all records were read. */
export function useUsers() {
  const job = useJob();
  const { key, query, isNow } = useAsked();
  return useQuery({
    queryKey: ["users", ...key],
    queryFn: ({ signal }) => client.get<Users>(spool(job, "usage", "users"), { query: query(), signal }),
    placeholderData: keepPreviousData,
    refetchInterval: ({ state }) => (state.data && state.data.unread > 0 ? UNREAD_MS : isNow ? REFRESH_MS : false),
  });
}

/** What was spent, by the nodes' ledgers, of each day of the range. */
export function useSpent() {
  const job = useJob();
  const store = useStore();
  const { node, card } = route.useSearch();
  const { key, query, isNow, length_s } = useAsked();
  const by = card !== undefined ? "gpu" : node !== undefined ? "node" : "day";
  return useQuery({
    queryKey: ["ledger", ...key],
    queryFn: async ({ signal }) => {
      const from = Number(query()["from"]);
      const days = Math.min(400, Math.ceil((store.now_s() - from) / DAY_S) + 1);
      const ledger = await client.get<Wire<"Ledger">>(spool(job, "ledger"), { query: { days, by }, signal });
      const rows = ledger.rows.filter((row) => (card !== undefined ? row.gpu === card : node === undefined || row.node === node));
      return new Map<string, Spent>(rows.map((row) => [row.day, row]));
    },
    placeholderData: keepPreviousData,
    refetchInterval: isNow && length_s <= 7 * DAY_S ? 5 * REFRESH_MS : false,
  });
}
