import { SyncError } from "../domain/error.ts";

/** Reads a whole stream as UTF-8 text. Throws `usage_invalid` beyond `bytesMax`; `source` names it in the sentence. */
export async function readBounded(
  stream: AsyncIterable<Uint8Array>,
  bytesMax: number,
  source: string,
): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of stream) {
    bytes += chunk.byteLength;
    if (bytes > bytesMax)
      throw new SyncError("usage_invalid", `Cannot read ${source}: it holds more than ${bytesMax} bytes`);
    chunks.push(chunk);
  }
  return new TextDecoder().decode(Buffer.concat(chunks));
}
