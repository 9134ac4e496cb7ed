-- What several processes on one database need to know of one another.

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
