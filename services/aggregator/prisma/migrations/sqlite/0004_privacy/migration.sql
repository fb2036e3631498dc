-- What hospitals state to have spent of their privacy budgets. docs/data-model.md explains every column.

CREATE TABLE privacy_spend (
  study     TEXT    NOT NULL REFERENCES study (name),
  silo      TEXT    NOT NULL REFERENCES silo (name),
  round     INTEGER NOT NULL,
  statement BLOB    NOT NULL,
  signature BLOB    NOT NULL CHECK (length(signature) = 64),
  at_ms     INTEGER NOT NULL,
  PRIMARY KEY (study, silo, round)
) STRICT;
