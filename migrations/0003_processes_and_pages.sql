-- What several processes on one database need to know of one another, and faster pages of a room.

-- How often each kind of thing was changed. The number grows in the transaction that makes the
-- change, so whoever reads it first and the things after it misses nothing.
create table changes (
    -- rules, thresholds, keys or rooms
    area text not null primary key,
    number bigint not null
);

insert into changes (area, number) values ('rules', 0), ('thresholds', 0), ('keys', 0), ('rooms', 0);

-- The process that spoke of the room last; others hear of it.
alter table rooms add column instance text not null default '';

-- A page of a room's events was as many pages of the table as it has rows, each read from the disk:
-- rooms lie among one another. With all that is listed in the index it is a dozen pages in a row.
drop index censorship_events_by_room;
create index censorship_events_by_room on censorship_events (
    room, id, stream_id, kind, class, confidence, x, y, width, height, frame, findings, rule
);
