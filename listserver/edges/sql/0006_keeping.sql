-- How long posts are kept stands once for each list; what is late, dropped or held is known as such.

CREATE TABLE keeping (              -- of ciphertexts, as each list's Policy says
    list_id      INTEGER PRIMARY KEY REFERENCES lists (id),
    seconds      INTEGER NOT NULL   -- from a post's acceptance on; then it is erased, if not open
) STRICT;
INSERT INTO keeping
    SELECT list_id, max(keep_until - accepted) FROM posts JOIN ciphertexts ON post_id = id
    GROUP BY list_id;

DROP INDEX ciphertexts_kept;
-- It is read no more. To drop the column would be to write all that is kept once again.
ALTER TABLE ciphertexts RENAME COLUMN keep_until TO unread;

ALTER TABLE posts ADD COLUMN erased INTEGER NOT NULL DEFAULT 0;     -- 1: it has no ciphertext any more
UPDATE posts SET erased = 1 WHERE id NOT IN (SELECT post_id FROM ciphertexts);
CREATE INDEX posts_kept ON posts (list_id, accepted) WHERE NOT open AND NOT erased;
CREATE INDEX posts_old ON posts (accepted) WHERE NOT open AND erased;

ALTER TABLE posts ADD COLUMN dropped INTEGER NOT NULL DEFAULT 0;    -- 1: while copies were under way
ALTER TABLE posts ADD COLUMN held_told INTEGER NOT NULL DEFAULT 0;  -- 1: administrators know
CREATE INDEX posts_held ON posts (list_id) WHERE held;
CREATE INDEX posts_dropped ON posts (id) WHERE dropped AND NOT erased;

ALTER TABLE deliveries ADD COLUMN since INTEGER;    -- when it began; NULL: with its post

CREATE TABLE erasing (              -- one row
    id           INTEGER PRIMARY KEY CHECK (id = 1),
    until        INTEGER NOT NULL,  -- up to when things may be erased; seconds since 1970
    doubted      INTEGER NOT NULL   -- for how many seconds the clock has been too far ahead of that
) STRICT;

-- Letters have kinds, with room for each; what of the operator's mail was given up is held (state 2).
ALTER TABLE letters ADD COLUMN kind INTEGER NOT NULL DEFAULT 0;     -- 0 ours, 1 joining, 2 operator's
ALTER TABLE letters ADD COLUMN octets INTEGER NOT NULL DEFAULT 0;   -- of the message
ALTER TABLE letters ADD COLUMN code INTEGER;    -- of what is held, the refusal's; NULL: there is none
UPDATE letters SET octets = length(sealed);
DROP INDEX letters_due;
CREATE INDEX letters_due ON letters (kind, state, due);
CREATE INDEX letters_room ON letters (kind, state, octets);

-- One row for each person, to be found at once in all lists: who reads the store can't tell in which.
CREATE TABLE memberships (
    profile_name BLOB PRIMARY KEY,  -- of the profile's Identifier, and of nothing else
    sealed       BLOB NOT NULL      -- ids of lists; the newest profile's time, hash and keys
) STRICT, WITHOUT ROWID;
ALTER TABLE members ADD COLUMN noted INTEGER;   -- 1: its list stands there; NULL: not yet
CREATE INDEX members_unnoted ON members (id) WHERE noted IS NULL;

-- Lists that their operator stops, and that their administrators close for good.
ALTER TABLE lists ADD COLUMN suspended INTEGER; -- since when it is stopped; NULL: it isn't
ALTER TABLE lists ADD COLUMN ends INTEGER;      -- when a closed one's r are erased; NULL: not, or done
CREATE INDEX lists_suspended ON lists (id) WHERE suspended NOT NULL;
CREATE INDEX lists_ends ON lists (ends) WHERE ends NOT NULL;

-- What the relay host refuses waits until it has taken another copy: who is refused all mail knows
-- nothing of addresses. What notices said in vain is said again.
CREATE TABLE refusals (
    post_id      INTEGER NOT NULL,  -- no REFERENCES: a post is erased whatever waits here
    member_id    INTEGER NOT NULL REFERENCES members (id),
    day          INTEGER NOT NULL,  -- as of bounces
    quarters     INTEGER NOT NULL,
    PRIMARY KEY (post_id, member_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX refusals_member ON refusals (member_id);
CREATE INDEX posts_taken ON posts (accepted) WHERE delivered;
-- bounces.unseen: beyond 1, the day on which the member's score is to be looked at again.
CREATE INDEX members_probed_of ON members (list_id) WHERE probed IS NOT NULL;
DROP INDEX members_off;
CREATE INDEX members_off ON members (list_id, off) WHERE off IS NOT NULL;
-- deliveries.told, members.off_told and posts.held_told: since now, when administrators were told.
ALTER TABLE letters ADD COLUMN tells INTEGER;   -- the list that it is a notice of; NULL: none, or one was taken
CREATE INDEX letters_tells ON letters (tells, made) WHERE tells IS NOT NULL;
ALTER TABLE lists ADD COLUMN unheard INTEGER;   -- when a notice of it was given up last; NULL: never

-- What has something to do is found by its time, and who is to have a copy in two indexes alone.
ALTER TABLE posts ADD COLUMN next_due INTEGER DEFAULT 0;    -- 0: members wait in shards; NULL: nothing is due
UPDATE posts SET next_due = (SELECT min(due) FROM deliveries WHERE post_id = posts.id AND state = 0)
    WHERE id NOT IN (SELECT post_id FROM shards);
CREATE INDEX posts_due ON posts (next_due, list_id) WHERE open AND NOT held;
CREATE TRIGGER deliveries_began AFTER INSERT ON deliveries WHEN new.state = 0 BEGIN
    UPDATE posts SET next_due = new.due
        WHERE id = new.post_id AND (next_due IS NULL OR next_due > new.due);
END;
CREATE TRIGGER deliveries_put_off AFTER UPDATE OF state, due ON deliveries WHEN new.state = 0 BEGIN
    UPDATE posts SET next_due = new.due
        WHERE id = new.post_id AND (next_due IS NULL OR next_due > new.due);
END;
DROP INDEX entries_key;
CREATE INDEX entries_key ON entries (key_name, member_id, own_octets);
CREATE INDEX members_served ON members (list_id) WHERE served AND off IS NULL;
