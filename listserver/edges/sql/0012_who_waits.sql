-- When administrators were told of those who wait to be let in.

ALTER TABLE joins ADD COLUMN told INTEGER NOT NULL DEFAULT 0;   -- seconds since 1970; 0: not yet
CREATE INDEX joins_untold ON joins (list_id) WHERE state = 1 AND NOT told;
