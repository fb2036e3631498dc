-- Studies that pause, and hospitals that leave one. docs/data-model.md explains every column.

ALTER TABLE study ADD COLUMN paused_ms INTEGER;

CREATE TABLE withdrawal (
  study     TEXT    NOT NULL REFERENCES study (name),
  silo      TEXT    NOT NULL REFERENCES silo (name),
  statement BLOB    NOT NULL,
  signature BLOB    NOT NULL CHECK (length(signature) = 64),
  at_ms     INTEGER NOT NULL,
  PRIMARY KEY (study, silo)
) STRICT;
