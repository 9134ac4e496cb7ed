import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { expect, forget, prepare, ticketFor } from "../src/lib/tickets";

/** What was asked of the server. */
let asked: { path: string; body: { roomNames?: string[]; roomName?: string } }[] = [];
const never = new AbortController().signal;

beforeEach(() => {
  asked = [];
  Object.assign(globalThis, {
    sessionStorage: { getItem: () => null },
    fetch: async (path: string, init: { body: string }) => {
      const body = JSON.parse(init.body);
      asked.push({ path, body });
      const tokens = (body.roomNames ?? []).map((room: string) => ({
        roomName: room,
        processedRoom: `${room}-processed`,
        token: `token of ${room}`,
      }));
      const answer = body.roomNames
        ? { wsUrl: "ws://lk", tokens }
        : { wsUrl: "ws://lk", token: "viewer", roomName: `${body.roomName}-processed` };
      return Response.json(answer);
    },
  });
});

test("tiles that appear together ask once, also for those that will appear", async () => {
  const rooms = Array.from({ length: 200 }, (_, n) => `wall-${n}`);
  expect(rooms);
  const some = rooms.slice(0, 12).map((room) => ticketFor({ room, as: "monitor" }, never));
  const tickets = await Promise.all(some);
  assert.equal(asked.length, 1);
  assert.equal(asked[0]?.path, "/token/monitor");
  assert.equal(asked[0]?.body.roomNames?.length, 200);
  assert.deepEqual(tickets[3], {
    token: "token of wall-3",
    wsUrl: "ws://lk",
    roomName: "wall-3-processed",
  });
  await ticketFor({ room: "wall-150", as: "monitor" }, never);
  assert.equal(asked.length, 1, "it came with the others");
  forget({ room: "wall-150", as: "monitor" });
  await ticketFor({ room: "wall-150", as: "monitor" }, never);
  assert.deepEqual(asked[1]?.body.roomNames, ["wall-150"]);
  expect([]);
});

test("more rooms than one call takes are asked for in several", async () => {
  const rooms = Array.from({ length: 201 }, (_, n) => `many-${n}`);
  await Promise.all(rooms.map((room) => ticketFor({ room, as: "monitor" }, never)));
  assert.deepEqual(
    asked.map((one) => one.body.roomNames?.length),
    [200, 1],
  );
});

test("a viewer asks for itself, and once for what is on its way", async () => {
  const viewer = { room: "wall-3", as: { viewer: "viewer" } };
  prepare(viewer);
  const ticket = await ticketFor(viewer, never);
  assert.equal(asked.length, 1);
  assert.equal(ticket.token, "viewer");
  assert.equal(asked[0]?.path, "/token");
  await ticketFor(viewer, never);
  assert.equal(asked.length, 1);
});
