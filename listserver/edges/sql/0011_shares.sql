-- How much of a room that all share is one list's, or of a list's is one domain's.

ALTER TABLE letters ADD COLUMN list_id INTEGER; -- the list that it is for or from; NULL: none, or it shares no room
DROP INDEX letters_room;
CREATE INDEX letters_room ON letters (kind, state, octets, list_id);

ALTER TABLE joins ADD COLUMN domain BLOB;       -- the name of list and domain of the address; NULL: it asked before
CREATE INDEX joins_domain ON joins (domain, state) WHERE domain NOT NULL;
