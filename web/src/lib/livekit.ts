/** LiveKit's client, loaded when it is needed: it is most of what a page weighs. */
export type Livekit = typeof import("livekit-client");

/**
 * The client, told to keep quiet: what goes wrong is shown on the page, and its log names tokens.
 */
export async function livekit(): Promise<Livekit> {
  const client = await import("livekit-client");
  client.setLogLevel("silent");
  return client;
}
