-- Witnesses of the log and their cosignatures. docs/data-model.md explains every column.

CREATE TABLE witness (
  silo         TEXT    NOT NULL PRIMARY KEY REFERENCES silo (name),
  verifier_key TEXT    NOT NULL UNIQUE,
  signature    BLOB    NOT NULL CHECK (length(signature) = 64),
  at_ms        INTEGER NOT NULL
) STRICT;

CREATE TABLE cosignature (
  size  INTEGER NOT NULL REFERENCES checkpoint (size),
  silo  TEXT    NOT NULL REFERENCES silo (name),
  line  TEXT    NOT NULL,
  at_ms INTEGER NOT NULL,
  PRIMARY KEY (size, silo)
) STRICT;

CREATE TRIGGER cosignature_no_update BEFORE UPDATE ON cosignature
BEGIN SELECT RAISE(ABORT, 'cosignatures never change'); END;
CREATE TRIGGER cosignature_no_delete BEFORE DELETE ON cosignature
BEGIN SELECT RAISE(ABORT, 'cosignatures are never deleted'); END;
