-- What members want themselves: no mail for a while, to leave, no copies of their own posts.

ALTER TABLE members ADD COLUMN paused INTEGER;  -- when it asked for no mail for a while; NULL: it wants it
ALTER TABLE members ADD COLUMN leaving INTEGER; -- 1 asked by a copy's link, 2 and was written to, 3 has left
ALTER TABLE members ADD COLUMN leaving_since INTEGER;   -- seconds since 1970
ALTER TABLE members ADD COLUMN left_told INTEGER NOT NULL DEFAULT 0;    -- when administrators were; 0: not yet
ALTER TABLE members ADD COLUMN stays INTEGER;   -- how often it did, or came back: links in copies from before it ask nothing any more
ALTER TABLE members ADD COLUMN no_own INTEGER;  -- 1: wants no copies of its own posts
CREATE INDEX members_leaving ON members (leaving, leaving_since) WHERE leaving IS NOT NULL;
CREATE INDEX members_left ON members (list_id) WHERE leaving = 3;
CREATE INDEX members_left_untold ON members (list_id) WHERE leaving = 3 AND NOT left_told;
CREATE INDEX members_no_own ON members (list_id) WHERE no_own;
DROP INDEX members_served;
CREATE INDEX members_served ON members (list_id)
    WHERE served AND off IS NULL AND paused IS NULL AND leaving IS NULL;

CREATE TABLE leaves_asked (         -- one row, written whoever asks: so all that ask take as long
    id           INTEGER PRIMARY KEY CHECK (id = 1),
    times        INTEGER NOT NULL
) STRICT;
INSERT INTO leaves_asked VALUES (1, 0);
