-- What Scrim remembers. The same text runs on SQLite and PostgreSQL, so it keeps to text, bigint
-- and double precision. Times are microseconds since 1970, UTC. Ids are UUIDs of version 7 as
-- text: their order is that of time, and one index serves a filter, a range of time and a cursor.

create table streams (
    id text not null primary key,
    room text not null,
    -- operator or webhook: who started it
    origin text not null,
    -- the process that runs it, by host and port
    instance text not null,
    -- live, ended, or interrupted: its process died, and the last heartbeat is the end
    state text not null,
    started_at bigint not null,
    heartbeat_at bigint not null,
    ended_at bigint,
    duration_ms bigint not null,
    viewers_peak bigint not null,
    viewers_total bigint not null,
    -- rows of censorship_events that it has
    events bigint not null,
    -- JSON, as GET /streams shows them
    statistics text not null,
    problems text not null
);

create index streams_by_room on streams (room, id);
create index streams_by_start on streams (started_at);
create index streams_open on streams (heartbeat_at) where ended_at is null;

-- Detections that the rules cover: one row a stream, class and second, not one a frame.
create table censorship_events (
    id text not null primary key,
    stream_id text not null references streams (id) on delete cascade,
    room text not null,
    -- object, or text
    kind text not null,
    class text not null,
    -- the best of the second, with its place in pixels and its frame
    confidence double precision not null,
    x double precision not null,
    y double precision not null,
    width double precision not null,
    height double precision not null,
    frame bigint not null,
    -- findings that this row stands for
    findings bigint not null,
    at bigint not null
);

create index censorship_events_by_room on censorship_events (room, id);
create index censorship_events_by_room_and_class on censorship_events (room, class, id);
create index censorship_events_by_class on censorship_events (class, id);
create index censorship_events_by_stream on censorship_events (stream_id, id);

-- The same, counted by the hour, so that analytics need not read events. Room '' is all rooms.
create table censorship_hours (
    room text not null,
    -- hours since 1970
    hour bigint not null,
    class text not null,
    events bigint not null,
    primary key (room, hour, class)
);

-- Rules of the API, over those of the configuration. Scope '' is global, else a room. What was
-- taken away keeps its row, so that a version never means two documents.
create table rules (
    scope text not null primary key,
    version bigint not null,
    -- JSON; null: taken away
    document text,
    updated_at bigint not null,
    updated_by text not null
);

-- What operators said of a room's last stream, so that the next one, also after a crash, goes on
-- with it: the rules it was started with, and the dump button ('', picture, or picture+sound).
create table rooms (
    room text not null primary key,
    rules text not null,
    cover text not null,
    updated_at bigint not null
);

-- Who changed what, and when. Never cleaned.
create table audit (
    id text not null primary key,
    at bigint not null,
    actor text not null,
    action text not null,
    -- the room, stream or key that was meant
    target text not null,
    -- JSON: what changed, from what to what
    detail text not null
);

create index audit_by_target on audit (target, id);

-- What people said of detections.
create table feedback (
    id text not null primary key,
    at bigint not null,
    actor text not null,
    stream_id text not null,
    event_id text not null,
    room text not null,
    class text not null,
    -- 1: rightly covered, 0: wrongly
    correct bigint not null,
    threshold_before double precision not null,
    threshold_after double precision not null
);

create index feedback_by_event on feedback (event_id, actor, id);

-- Where feedback has moved thresholds to.
create table thresholds (
    room text not null,
    class text not null,
    threshold double precision not null,
    updated_at bigint not null,
    primary key (room, class)
);

-- Ids of LiveKit's webhooks that were dealt with.
create table webhook_events (
    id text not null primary key,
    seen_at bigint not null
);

create index webhook_events_by_time on webhook_events (seen_at);

-- The last batch that each process has written. A batch whose commit was not heard of is tried
-- again, and counts once.
create table writers (
    id text not null primary key,
    batch bigint not null,
    seen_at bigint not null
);

-- News for the operator's own server, until it has taken them.
create table outbox (
    id text not null primary key,
    at bigint not null,
    kind text not null,
    -- JSON, as it is sent
    body text not null,
    attempts bigint not null,
    -- when to try next; null: given up
    due_at bigint,
    -- why the last attempt failed
    error text
);

create index outbox_by_due on outbox (due_at);
