-- What rules were: each version that was written, the newest 100 of a scope, so that it can be
-- shown and brought back. The audit log tells what changed; this holds the whole document.

create table rule_versions (
    scope text not null,
    version bigint not null,
    -- JSON; null: taken away
    document text,
    at bigint not null,
    actor text not null,
    primary key (scope, version)
);

-- What holds now is the first that is known.
insert into rule_versions (scope, version, document, at, actor)
    select scope, version, document, updated_at, updated_by from rules;
