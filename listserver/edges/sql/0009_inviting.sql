-- Who is to be told that it is a member now, or isn't any more: until the letter is in the queue.

CREATE TABLE greetings (
    id           INTEGER PRIMARY KEY,   -- the first noted comes first
    member_id    INTEGER NOT NULL UNIQUE REFERENCES members (id),
    kind         INTEGER NOT NULL       -- 1 a welcome, 2 a goodbye
) STRICT;
