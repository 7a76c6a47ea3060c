-- Posts that wait for a decision of the moderators, who alone have copies of them until then.

ALTER TABLE posts ADD COLUMN review INTEGER NOT NULL DEFAULT 0; -- 1: its copies are the moderators'

CREATE TABLE holding (
    list_id      INTEGER NOT NULL REFERENCES lists (id),
    number       INTEGER NOT NULL,  -- the list's own, from 1; the last row stays, so that none comes again
    post_id      INTEGER NOT NULL,  -- no REFERENCES: a post is erased whatever stands here
    state        INTEGER NOT NULL,  -- 0 waits, 1 accepted, 2 rejected, 3 discarded, 4 over its time
    until        INTEGER NOT NULL,  -- when it is over its time; seconds since 1970
    told         INTEGER NOT NULL DEFAULT 0,    -- when administrators were told that it waits
    PRIMARY KEY (list_id, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX holding_waiting ON holding (list_id, number) WHERE state = 0;
CREATE INDEX holding_until ON holding (until);
CREATE INDEX holding_untold ON holding (list_id) WHERE state = 0 AND NOT told;
