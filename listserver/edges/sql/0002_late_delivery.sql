-- Posts are kept for late delivery; bounces and who gets no mail for them; mail of the server's own.

CREATE TABLE ciphertexts (          -- of posts, apart from what changes with each delivery
    post_id      INTEGER PRIMARY KEY REFERENCES posts (id),
    keep_until   INTEGER NOT NULL,  -- seconds since 1970; then it is erased, if nothing is open
    octets       BLOB NOT NULL
) STRICT;
CREATE INDEX ciphertexts_kept ON ciphertexts (keep_until);
INSERT INTO ciphertexts
    SELECT id, accepted + 14 * 86400, ciphertext FROM posts WHERE ciphertext IS NOT NULL;

ALTER TABLE posts ADD COLUMN open INTEGER NOT NULL DEFAULT 1;       -- 0: every delivery has ended
ALTER TABLE posts ADD COLUMN delivered INTEGER NOT NULL DEFAULT 0;  -- copies that were taken
ALTER TABLE posts ADD COLUMN told INTEGER NOT NULL DEFAULT 0;       -- 1: its poster need not be told
UPDATE posts SET open = ciphertext IS NOT NULL, told = 1;
DROP INDEX posts_open;
ALTER TABLE posts DROP COLUMN ciphertext;
CREATE INDEX posts_open ON posts (id) WHERE open AND NOT held;
CREATE INDEX posts_list ON posts (list_id, accepted);
CREATE INDEX posts_accepted ON posts (accepted);
CREATE INDEX posts_in_vain ON posts (id) WHERE NOT open AND NOT delivered AND NOT told;

ALTER TABLE deliveries ADD COLUMN told INTEGER NOT NULL DEFAULT 0;  -- 1: administrators know
CREATE INDEX deliveries_untold ON deliveries (post_id) WHERE state >= 2 AND NOT told;

ALTER TABLE lists ADD COLUMN told INTEGER NOT NULL DEFAULT 0;       -- when its administrators were

ALTER TABLE members ADD COLUMN probed INTEGER;  -- when a probe was sent after bounces; NULL: not now
ALTER TABLE members ADD COLUMN off INTEGER;     -- when its mail was turned off after them; NULL: on
ALTER TABLE members ADD COLUMN off_told INTEGER NOT NULL DEFAULT 0; -- 1: administrators know
CREATE INDEX members_probed ON members (probed) WHERE probed IS NOT NULL;
CREATE INDEX members_off ON members (list_id) WHERE off IS NOT NULL;
CREATE INDEX members_off_untold ON members (list_id) WHERE off IS NOT NULL AND NOT off_told;

CREATE TABLE bounces (              -- what came back of a member's mail, the worst of each day
    member_id    INTEGER NOT NULL REFERENCES members (id),
    day          INTEGER NOT NULL,  -- days since 1970
    quarters     INTEGER NOT NULL,  -- of a point: 4 hard, 1 soft
    unseen       INTEGER NOT NULL DEFAULT 1,    -- 0: the member's score was looked at with it
    PRIMARY KEY (member_id, day)
) STRICT, WITHOUT ROWID;
CREATE INDEX bounces_day ON bounces (day);
CREATE INDEX bounces_unseen ON bounces (member_id) WHERE unseen;

CREATE TABLE letters (              -- of the server's own making, or for the operator; one address each
    id           INTEGER PRIMARY KEY,
    state        INTEGER NOT NULL,  -- 0 due, 1 claimed
    attempts     INTEGER NOT NULL,  -- begun, counted before they begin
    faults       INTEGER NOT NULL,  -- attempts that ended in a fault of ours, or with the process
    made         INTEGER NOT NULL,  -- seconds since 1970
    due          INTEGER NOT NULL,
    probe_of     INTEGER REFERENCES members (id),
    sealed       BLOB NOT NULL      -- address, return path and the message
) STRICT;
CREATE INDEX letters_due ON letters (state, due);   -- whole, so that it counts them too
