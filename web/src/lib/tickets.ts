import { fill, t } from "../texts";
import { call } from "./api";
import { unique } from "./names";
import { pause } from "./sse";
import type { Ticket } from "./types";

/** Who watches which processed room. */
export interface Watcher {
  /** The raw room's name. */
  room: string;
  /**
   * A viewer under this name, or somebody who looks after the stream: unseen by the audience, and
   * not counted among it.
   */
  as: { viewer: string } | "monitor";
}

/** How long a ticket is used again, in milliseconds; the server's hold for six hours. */
const AGE = 4 * 3_600_000;

/** Tickets that are kept; past it the oldest goes. */
const KEPT = 600;

/** Rooms of one call; the server takes no more. */
const AT_ONCE = 200;

/** How long a call for monitors' tickets waits for others to join in, in milliseconds. */
const GATHER = 20;

/** Tickets that still hold: tiles come and go, and the server counts calls. */
const tickets = new Map<string, { ticket: Ticket; until: number }>();

/** Viewers' tickets that are on their way. */
const coming = new Map<string, Promise<Ticket>>();

/** Rooms that will be monitored soon, so that they share the next call. */
let soon: readonly string[] = [];

/** The call that is being gathered. */
let gathering: { rooms: Set<string>; done: Promise<void> } | null = null;

const keyOf = ({ room, as }: Watcher): string =>
  as === "monitor" ? `monitor ${room}` : `viewer ${as.viewer} ${room}`;

function known(key: string): Ticket | null {
  const found = tickets.get(key);
  return found && found.until > Date.now() ? found.ticket : null;
}

function keep(key: string, ticket: Ticket): void {
  tickets.delete(key);
  if (tickets.size >= KEPT) tickets.delete(tickets.keys().next().value ?? "");
  tickets.set(key, { ticket, until: Date.now() + AGE });
}

/** Names the rooms that will be monitored soon: one call brings the tickets of all. */
export function expect(rooms: readonly string[]): void {
  soon = rooms;
}

/** The ticket of a watcher: one that holds still, or a new one. */
export async function ticketFor(watcher: Watcher, signal: AbortSignal): Promise<Ticket> {
  const key = keyOf(watcher);
  const { room, as } = watcher;
  const held = known(key);
  if (held) return held;
  if (as !== "monitor") {
    const asked = coming.get(key) ?? viewers(key, room, as.viewer, signal);
    coming.set(key, asked);
    return asked;
  }
  await monitors(room);
  const ticket = known(key);
  if (!ticket) throw new Error(fill(t.common.noTicket, { room }));
  return ticket;
}

async function viewers(key: string, room: string, name: string, signal: AbortSignal) {
  const body = { roomName: room, participantName: `${name}-${unique()}`, role: "viewer" };
  try {
    const ticket = await call<Ticket>("POST", "/token", { body, signal });
    keep(key, ticket);
    return ticket;
  } finally {
    coming.delete(key);
  }
}

/** Asks for a viewer's ticket that will be wanted at once: it comes while the page is made. */
export function prepare(watcher: Watcher): void {
  // Whoever wants the ticket asks again and is told why there is none.
  ticketFor(watcher, new AbortController().signal).catch(() => undefined);
}

/** Lets go of a ticket that was not taken. */
export function forget(watcher: Watcher): void {
  tickets.delete(keyOf(watcher));
}

/** Asks for a monitor's ticket, in one call with all that are asked for at the same time. */
function monitors(room: string): Promise<void> {
  if (!gathering || (gathering.rooms.size >= AT_ONCE && !gathering.rooms.has(room))) {
    const rooms = new Set<string>();
    gathering = { rooms, done: ask(rooms) };
  }
  gathering.rooms.add(room);
  return gathering.done;
}

interface Monitors {
  wsUrl: string;
  tokens: { roomName: string; processedRoom: string; token: string }[];
}

async function ask(rooms: Set<string>): Promise<void> {
  await pause(GATHER, new AbortController().signal);
  if (gathering?.rooms === rooms) gathering = null;
  for (const room of soon) {
    if (rooms.size >= AT_ONCE) break;
    if (!known(keyOf({ room, as: "monitor" }))) rooms.add(room);
  }
  const { wsUrl, tokens } = await call<Monitors>("POST", "/token/monitor", {
    body: { roomNames: [...rooms] },
  });
  for (const { roomName, processedRoom, token } of tokens) {
    keep(keyOf({ room: roomName, as: "monitor" }), { token, wsUrl, roomName: processedRoom });
  }
}
