import { Fragment } from "react";

/** A text in which `code` stands between backquotes. */
export function Marked({ text }: { text: string }) {
  return text.split("`").map((part, at) => (at % 2 === 1 ? <code key={at}>{part}</code> : <Fragment key={at}>{part}</Fragment>));
}
