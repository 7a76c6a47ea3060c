-- Held posts by whose share of the room they take, and by their contents; what a list has had.

-- contents.content_name: of list and cid, if the list's readers have it; else that and, behind it, the
-- name of list, cid and `sender`: of what was held, or went to nobody.
ALTER TABLE holding ADD COLUMN share INTEGER NOT NULL DEFAULT 0;    -- as in listserver.held; 0 also if it waited before
ALTER TABLE holding ADD COLUMN content_name BLOB;   -- as in contents; NULL: it waited before
ALTER TABLE holding ADD COLUMN sealed BLOB;         -- the cid; NULL: it waited before
CREATE INDEX holding_shares ON holding (list_id, share) WHERE state = 0;
