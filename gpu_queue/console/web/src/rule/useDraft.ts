import { useCallback, useEffect, useRef, useState } from "react";

import { useJob } from "../shell/job";
import { policies, type Changes, type Policy, type PolicyChecked } from "./requests";

const TYPED_MS = 300;

/** What somebody has in hand: a text, and fields that are to be changed in it. */
interface Hand {
  text: string;
  changes: Changes;
}

interface Checked {
  of: Hand;
  reply: PolicyChecked;
}

export interface Draft {
  base: Policy;
  hand: Hand;
  /** What the server says of what is in hand, or of what was a moment ago. */
  checked: PolicyChecked | null;
  /** `checked` is of what is in hand. */
  isSettled: boolean;
  isChanged: boolean;
  error: unknown;
  setField: (key: string, value: string | null) => void;
  /** A field as it was. */
  dropField: (key: string) => void;
  setText: (text: string) => void;
  /** All as it is saved, or as `base` says it. */
  restart: (base: Policy, hand?: Hand) => void;
  /** What the server says of what is in hand, at once. */
  settle: () => Promise<PolicyChecked | null>;
}

const NOTHING: Changes = {};

/** A changed policy: the fields are changed by the server, in the text, after each 300 ms of quiet. */
export function useDraft(saved: Policy): Draft {
  const job = useJob();
  const [base, setBase] = useState(saved);
  const [hand, setHand] = useState<Hand>({ text: saved.text, changes: NOTHING });
  const [checked, setChecked] = useState<Checked | null>(null);
  const [error, setError] = useState<unknown>(null);
  const latest = useRef(hand);
  latest.current = hand;
  const isTouched = hand.text !== base.text || Object.keys(hand.changes).length > 0;

  const ask = useCallback(
    async (of: Hand, signal?: AbortSignal): Promise<PolicyChecked | null> => {
      try {
        const reply = await policies.check(job, of.text, of.changes, base.text, signal);
        if (latest.current !== of) return null;
        setChecked({ of, reply });
        setError(null);
        return reply;
      } catch (caught) {
        if (!signal?.aborted) setError(caught);
        return null;
      }
    },
    [job, base.text],
  );

  useEffect(() => {
    if (!isTouched) return;
    const controller = new AbortController();
    const timer = setTimeout(() => void ask(hand, controller.signal), TYPED_MS);
    return () => {
      clearTimeout(timer);
      controller.abort();
    };
  }, [hand, isTouched, ask]);

  const restart = useCallback((next: Policy, own?: Hand) => {
    setBase(next);
    setHand(own ?? { text: next.text, changes: NOTHING });
    setChecked(null);
    setError(null);
  }, []);

  const isSettled = !isTouched || checked?.of === hand;
  return {
    base,
    hand,
    checked: isTouched ? (checked?.reply ?? null) : null,
    isSettled,
    isChanged: isTouched && (checked?.of !== hand || checked.reply.text !== base.text),
    error,
    setField: (key, value) => setHand({ text: hand.text, changes: { ...hand.changes, [key]: value } }),
    dropField: (key) => setHand({ text: hand.text, changes: Object.fromEntries(Object.entries(hand.changes).filter(([one]) => one !== key)) }),
    setText: (text) => setHand({ text, changes: NOTHING }),
    restart,
    settle: () => (checked?.of === hand ? Promise.resolve(checked.reply) : ask(hand)),
  };
}
