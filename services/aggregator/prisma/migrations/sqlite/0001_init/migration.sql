-- The first schema. docs/data-model.md explains every column.
-- Times are milliseconds since the Unix epoch; hashes are lower-case hex unless they are BLOBs.

CREATE TABLE silo (
  name                   TEXT    NOT NULL PRIMARY KEY,
  state                  TEXT    NOT NULL CHECK (state IN ('invited', 'pending', 'enrolled', 'refused', 'revoked')),
  request_id             TEXT    REFERENCES enrolment_request (id),
  identity_key           BLOB    CHECK (length(identity_key) = 32),
  fingerprint            TEXT    NOT NULL,
  certificate_serial     TEXT,
  certificate_expires_ms INTEGER,
  last_seen_ms           INTEGER NOT NULL
) STRICT;

CREATE TABLE invitation (
  id          TEXT    NOT NULL PRIMARY KEY,
  silo        TEXT    NOT NULL REFERENCES silo (name),
  secret_hash BLOB    NOT NULL CHECK (length(secret_hash) = 32),
  created_ms  INTEGER NOT NULL,
  expires_ms  INTEGER NOT NULL,
  used_by     TEXT    REFERENCES enrolment_request (id)
) STRICT;

CREATE TABLE enrolment_request (
  id              TEXT    NOT NULL PRIMARY KEY,
  silo            TEXT    NOT NULL REFERENCES silo (name),
  invitation_id   TEXT    NOT NULL UNIQUE REFERENCES invitation (id),
  csr_pem         TEXT    NOT NULL,
  identity_key    BLOB    NOT NULL CHECK (length(identity_key) = 32),
  signature       BLOB    NOT NULL,
  fingerprint     TEXT    NOT NULL,
  state           TEXT    NOT NULL CHECK (state IN ('pending', 'approved', 'refused')),
  created_ms      INTEGER NOT NULL,
  certificate_pem TEXT,
  reason          TEXT
) STRICT;

CREATE TABLE study (
  name             TEXT    NOT NULL PRIMARY KEY,
  title            TEXT    NOT NULL,
  state            TEXT    NOT NULL CHECK (state IN ('proposed', 'active', 'completed', 'withdrawn', 'expired')),
  charter_hash     TEXT    NOT NULL UNIQUE,
  charter          BLOB    NOT NULL,
  study_file       BLOB    NOT NULL,
  model_hash       TEXT    NOT NULL,
  model_size_bytes INTEGER NOT NULL,
  state_hash       TEXT    NOT NULL,
  state_size_bytes INTEGER NOT NULL,
  created_ms       INTEGER NOT NULL,
  started_ms       INTEGER,
  ended_ms         INTEGER,
  reason           TEXT
) STRICT;

CREATE TABLE charter_signature (
  study     TEXT    NOT NULL REFERENCES study (name),
  silo      TEXT    NOT NULL REFERENCES silo (name),
  decision  TEXT    NOT NULL CHECK (decision IN ('signed', 'refused')),
  statement BLOB    NOT NULL,
  signature BLOB    NOT NULL CHECK (length(signature) = 64),
  at_ms     INTEGER NOT NULL,
  PRIMARY KEY (study, silo)
) STRICT;

CREATE TABLE round (
  study                 TEXT    NOT NULL REFERENCES study (name),
  round                 INTEGER NOT NULL CHECK (round >= 0),
  attempt               INTEGER NOT NULL CHECK (attempt >= 1),
  kind                  TEXT    NOT NULL CHECK (kind IN ('statistics', 'training', 'evaluation')),
  step                  TEXT    NOT NULL CHECK (step IN ('advertise', 'share', 'mask', 'confirm', 'release', 'unmask', 'closed', 'aborted')),
  opened_ms             INTEGER NOT NULL,
  closed_ms             INTEGER,
  model_hash            TEXT    NOT NULL,
  model_size_bytes      INTEGER NOT NULL,
  state                 BLOB    NOT NULL,
  receipt               BLOB,
  aggregate_hash        TEXT,
  aggregate_size_bytes  INTEGER,
  next_model_hash       TEXT,
  next_model_size_bytes INTEGER,
  metrics               BLOB,
  leaf_index            INTEGER REFERENCES log_entry (idx),
  abort_code            TEXT,
  bytes_up              INTEGER NOT NULL,
  bytes_down            INTEGER NOT NULL,
  PRIMARY KEY (study, round, attempt)
) STRICT;

-- At most one attempt of one round of a study is open at a time.
CREATE UNIQUE INDEX round_open ON round (study) WHERE step NOT IN ('closed', 'aborted');

CREATE TABLE log_entry (
  idx  INTEGER NOT NULL PRIMARY KEY CHECK (idx >= 0),
  leaf BLOB    NOT NULL CHECK (length(leaf) BETWEEN 1 AND 65535),
  hash BLOB    NOT NULL CHECK (length(hash) = 32)
) STRICT;

CREATE TABLE checkpoint (
  size INTEGER NOT NULL PRIMARY KEY CHECK (size >= 0),
  note TEXT    NOT NULL
) STRICT;

-- The log is append-only for every program that opens this file, ours included.
CREATE TRIGGER log_entry_append_only BEFORE INSERT ON log_entry
WHEN NEW.idx <> (SELECT COALESCE(MAX(idx) + 1, 0) FROM log_entry)
BEGIN SELECT RAISE(ABORT, 'log entries are appended without gaps'); END;
CREATE TRIGGER log_entry_no_update BEFORE UPDATE ON log_entry
BEGIN SELECT RAISE(ABORT, 'log entries never change'); END;
CREATE TRIGGER log_entry_no_delete BEFORE DELETE ON log_entry
BEGIN SELECT RAISE(ABORT, 'log entries are never deleted'); END;
CREATE TRIGGER checkpoint_no_update BEFORE UPDATE ON checkpoint
BEGIN SELECT RAISE(ABORT, 'checkpoints never change'); END;
CREATE TRIGGER checkpoint_no_delete BEFORE DELETE ON checkpoint
BEGIN SELECT RAISE(ABORT, 'checkpoints are never deleted'); END;
