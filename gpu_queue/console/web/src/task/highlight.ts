/** A piece of a line of a script. */
export interface Token {
  text: string;
  kind: "" | "comment" | "string" | "keyword" | "variable";
}

const BASH = new Set(
  "if then else elif fi for while until do done case esac in function select return exit break continue export local readonly declare unset source set shift trap wait exec eval time".split(" "),
);
const PYTHON = new Set(
  "False None True and as assert async await break class continue def del elif else except finally for from global if import in is lambda nonlocal not or pass raise return try while with yield".split(" "),
);
const RULE = /(#.*$)|("(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?)|(\$\{[^}]*\}?|\$[A-Za-z_]\w*|\$[0-9@*#?$!-])|([A-Za-z_]\w*)/g;

/** Colours for one line, taken by itself: a text over several lines is none here. */
export function tokens(line: string, language: "bash" | "python" | "other"): Token[] {
  if (language === "other" || line.length > 2000) return [{ text: line, kind: "" }];
  const words = language === "bash" ? BASH : PYTHON;
  const found: Token[] = [];
  let at = 0;
  const add = (text: string, kind: Token["kind"]): void => {
    const last = found[found.length - 1];
    if (last && last.kind === kind) last.text += text;
    else if (text) found.push({ text, kind });
  };
  for (const match of line.matchAll(RULE)) {
    const [text, comment, string, variable, word] = match;
    const isComment = comment !== undefined && (match.index === 0 || /[\s;]/.test(line[match.index - 1] ?? ""));
    if (comment !== undefined && !isComment) {
      // `$#`, `a#b`: no comment begins inside of a word.
      add(line.slice(at, match.index + 1), "");
      at = match.index + 1;
      const rest = tokens(line.slice(at), language);
      return [...found, ...rest];
    }
    add(line.slice(at, match.index), "");
    const kind = isComment
      ? "comment"
      : string !== undefined
        ? "string"
        : variable !== undefined && language === "bash"
          ? "variable"
          : word !== undefined && words.has(word)
            ? "keyword"
            : "";
    add(text, kind);
    at = match.index + text.length;
  }
  add(line.slice(at), "");
  return found;
}
