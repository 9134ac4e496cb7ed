-- Small covered pictures of detections. In a table of their own: lists of detections never read
-- them, and they go earlier than what they show.

create table thumbnails (
    event_id text not null primary key references censorship_events (id) on delete cascade,
    -- JPEG; SQLite takes any name for a type, and keeps bytes as bytes
    picture bytea not null
);
