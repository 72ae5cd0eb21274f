const MAX_OUTPUT_BYTES = 256 * 1024;
/** What a login may print around it. */
const MAX_NOISE_BYTES = 4 * 1024 * 1024;

/**
 * A script's own output, without the noise before it. Not to the end of the channel: what an rc file of the login left
 * behind may keep that open. The script prints `farside-look:MARK:begin` first, `farside-look:MARK:end` last, and `MARK ` before
 * each line in between.
 */
export async function readMarked(channel: AsyncIterable<Buffer>, mark: string): Promise<string> {
  const [begin, end] = [beginMark(mark), endMark(mark)];
  let kept: Buffer = Buffer.alloc(0);
  let hasBegun = false;
  let bytes = 0;
  for await (const chunk of channel) {
    kept = Buffer.concat([kept, chunk]);
    const at: number = hasBegun ? 0 : kept.indexOf(begin);
    hasBegun ||= at >= 0;
    kept = hasBegun ? kept.subarray(at) : kept.subarray(-begin.length);
    bytes += chunk.length;
    if (bytes > MAX_NOISE_BYTES) break;
    if (hasBegun && (kept.includes(end) || kept.length > MAX_OUTPUT_BYTES)) break;
  }
  return kept.toString();
}

/** The script's lines without their mark; undefined where the output is not whole. Hostile. */
export function markedLines(output: string, mark: string): string[] | undefined {
  const begin = beginMark(mark);
  const start = output.indexOf(begin);
  const end = output.indexOf(endMark(mark), start);
  if (start < 0 || end < 0) return undefined;
  return output
    .slice(start + begin.length, end)
    .split("\n")
    .flatMap((line) => {
      // An rc file may have left something behind that prints in between.
      const own = line.indexOf(`${mark} `);
      return own < 0 ? [] : [line.slice(own + mark.length + 1)];
    });
}

function beginMark(mark: string): string {
  return `farside-look:${mark}:begin\n`;
}

function endMark(mark: string): string {
  return `farside-look:${mark}:end\n`;
}
