/** One event of a stream (text/event-stream). */
export interface ServerEvent {
  event: string;
  data: string;
  id: string;
}

const MOST_CHARACTERS = 16 << 20;

/** Takes text as it comes, gives whole events. Comments (lines that begin with a colon) are no events. */
export class EventParser {
  private rest = "";
  private event = "";
  private data: string[] = [];
  private id = "";

  push(text: string): ServerEvent[] {
    this.rest += text;
    if (this.rest.length > MOST_CHARACTERS) throw new Error("an event of more than 16 MiB");
    const found: ServerEvent[] = [];
    const lines = this.rest.split(/\r\n|\n|\r(?!$)/);
    this.rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line === "") {
        if (this.data.length > 0) {
          found.push({ event: this.event || "message", data: this.data.join("\n"), id: this.id });
        }
        this.event = "";
        this.data = [];
        continue;
      }
      const colon = line.indexOf(":");
      const field = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
      if (field === "event") this.event = value;
      else if (field === "data") this.data.push(value);
      else if (field === "id") this.id = value;
    }
    return found;
  }
}

/** Reads a reply to its end. `onBytes` is told of everything that came, also of comments. */
export async function readEvents(
  reply: Response,
  onEvent: (event: ServerEvent) => void,
  onBytes: () => void = () => undefined,
): Promise<void> {
  if (!reply.body) return;
  const parser = new EventParser();
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    onBytes();
    for (const event of parser.push(value)) onEvent(event);
  }
}
