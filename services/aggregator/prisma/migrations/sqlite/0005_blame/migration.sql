-- Silos that take no further part in a study because they are convicted of breaking the protocol.
-- docs/data-model.md explains every column.

CREATE TABLE exclusion (
  study   TEXT    NOT NULL REFERENCES study (name),
  silo    TEXT    NOT NULL REFERENCES silo (name),
  round   INTEGER NOT NULL CHECK (round >= 0),
  attempt INTEGER NOT NULL CHECK (attempt >= 1),
  code    TEXT    NOT NULL,
  at_ms   INTEGER NOT NULL,
  PRIMARY KEY (study, silo)
) STRICT;
