import { describe, expect, it } from "vitest";

import { findAll, findNext, neighbour, NO_HITS, type Ask, type Hits } from "./finding";

const SLICE = 4_000_000;

/** A server over hits at these places, which works through SLICE bytes at a request. */
function serverOf(places: readonly number[], size: number): { ask: Ask; requests: () => number } {
  let requests = 0;
  const ask: Ask = async (from, to, known) => {
    requests += 1;
    const end = to ?? size;
    const next = Math.min(end, from + SLICE);
    const inside = places.filter((one) => one >= from && one < next);
    const bins = Array.from({ length: 200 }, (_, bin) => inside.filter((one) => Math.floor((one * 200) / size) === bin).length);
    return {
      offsets: inside.slice(0, Math.max(0, 1000 - known)),
      count: inside.length,
      bins,
      searched: [from, next],
      next: next >= end ? null : next,
      size_bytes: size,
    };
  };
  return { ask, requests: () => requests };
}

async function all(ask: Ask, begin: number): Promise<Hits> {
  let last = NO_HITS;
  await findAll(ask, begin, (hits) => {
    last = hits;
  });
  return last;
}

describe("a search of the whole file", () => {
  it("finds all from any byte on, each once", async () => {
    const places = [5, 900_000, 4_000_000, 9_999_999];
    const found = await all(serverOf(places, 10_000_000).ask, 3_000_000);
    expect(found).toMatchObject({ offsets: places, count: 4, isDone: true });
    expect(found.bins.reduce((sum, one) => sum + one, 0)).toBe(4);
  });

  it("counts up on the way", async () => {
    const counts: number[] = [];
    await findAll(serverOf([1, 5_000_000, 9_000_000], 10_000_000).ask, 0, (hits) => counts.push(hits.count));
    expect(counts).toEqual([1, 2, 3, 3]);
  });

  it("goes round at both ends", () => {
    expect([neighbour([3, 7], 3, 1), neighbour([3, 7], 7, 1), neighbour([3, 7], 3, -1), neighbour([3, 7], 5, -1)]).toEqual([7, 3, 7, 3]);
    expect(neighbour([], 3, 1)).toBeNull();
  });

  it("reaches each hit from its neighbour, also those beyond the thousand that are known", async () => {
    const size = 40_000_000;
    const places = Array.from({ length: 3000 }, (_, at) => at * 13_001 + 17);
    const { ask, requests } = serverOf(places, size);
    const found = await all(ask, 20_000_000);
    expect(found.count).toBe(3000);
    expect(found.offsets.length).toBe(1000);
    for (const at of [0, 1, 999, 1000, 1537, 1538, 1539, 2537, 2538, 2539, 2998, 2999]) {
      const here = places[at] ?? 0;
      expect(await findNext(ask, found, size, here, 1)).toBe(places[(at + 1) % 3000]);
      expect(await findNext(ask, found, size, here, -1)).toBe(places[(at + 2999) % 3000]);
    }
    const before = requests();
    await findNext(ask, found, size, places[1800] ?? 0, 1);
    await findNext(ask, found, size, places[1800] ?? 0, -1);
    expect(requests()).toBe(before);
  });
});
