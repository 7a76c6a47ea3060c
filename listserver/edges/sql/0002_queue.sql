-- The queue for lists of any size: a post's members stand in shards, in random order, with a
-- position that lasts; rows only for what is in flight, was put off, was given up or is held.

CREATE TABLE shards (
    id           INTEGER PRIMARY KEY,
    post_id      INTEGER NOT NULL REFERENCES posts (id),
    members      BLOB NOT NULL,     -- ids of members, 6 octets each
    position     INTEGER NOT NULL   -- how many of them were claimed; the last one ends the row
) STRICT;
CREATE INDEX shards_post ON shards (post_id);

ALTER TABLE posts ADD COLUMN held INTEGER NOT NULL DEFAULT 0;   -- 1: it can't be read; for people
ALTER TABLE posts ADD COLUMN keep_until INTEGER NOT NULL DEFAULT 0; -- seconds since 1970
CREATE INDEX posts_held ON posts (id) WHERE held;

DROP INDEX deliveries_due;
DROP INDEX deliveries_open;
ALTER TABLE deliveries RENAME TO deliveries_0001;
CREATE TABLE deliveries (
    id           INTEGER PRIMARY KEY,
    post_id      INTEGER NOT NULL REFERENCES posts (id),
    member_id    INTEGER NOT NULL REFERENCES members (id),
    state        INTEGER NOT NULL,  -- 0 due, 1 claimed, 2 given up, 3 held after faults of ours
    attempts     INTEGER NOT NULL,  -- begun, counted before they begin
    faults       INTEGER NOT NULL,  -- attempts that ended in a fault of ours, or with the process
    due          INTEGER NOT NULL,  -- seconds since 1970
    sealed       BLOB,              -- the peer's last words
    UNIQUE (post_id, member_id)
) STRICT;
INSERT INTO deliveries
    SELECT id, post_id, member_id, CASE state WHEN 3 THEN 2 ELSE state END, attempts, 0, due, sealed
    FROM deliveries_0001 WHERE state IN (0, 1, 3);
DROP TABLE deliveries_0001;
CREATE INDEX deliveries_due ON deliveries (due, post_id) WHERE state = 0;
CREATE INDEX deliveries_open ON deliveries (post_id) WHERE state < 2;
CREATE INDEX deliveries_ended ON deliveries (post_id) WHERE state >= 2;
