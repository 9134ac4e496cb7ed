-- Keys of programs that call the API. What is kept of a key's secret is its SHA-256.

create table api_keys (
    -- the part of a key that is no secret
    id text not null primary key,
    name text not null,
    -- operator, viewer or service
    role text not null,
    -- in hex
    hash text not null,
    created_at bigint not null,
    created_by text not null,
    -- null: never
    expires_at bigint,
    -- to the minute
    last_used_at bigint,
    revoked_at bigint
);
