-- Renewal, revocation, operators, tokens. docs/data-model.md explains every column.

CREATE TABLE certificate (
  serial       TEXT    NOT NULL PRIMARY KEY,
  silo         TEXT    NOT NULL REFERENCES silo (name),
  issuer       TEXT    NOT NULL CHECK (issuer IN ('authority', 'renewals')),
  issued_ms    INTEGER NOT NULL,
  until_ms     INTEGER NOT NULL,
  chain_pem    TEXT    NOT NULL,
  request_hash TEXT    UNIQUE,
  revoked_ms   INTEGER,
  reason       TEXT
) STRICT;
CREATE INDEX certificate_silo ON certificate (silo);

-- The certificates that were in force under the first schema.
INSERT INTO certificate (serial, silo, issuer, issued_ms, until_ms, chain_pem)
SELECT s.certificate_serial, s.name, 'authority', r.created_ms, COALESCE(s.certificate_expires_ms, 0), r.certificate_pem
FROM silo s JOIN enrolment_request r ON r.id = s.request_id
WHERE s.certificate_serial IS NOT NULL AND r.certificate_pem IS NOT NULL;

CREATE TABLE revoked_key (
  identity_key BLOB    NOT NULL PRIMARY KEY CHECK (length(identity_key) = 32),
  silo         TEXT    NOT NULL REFERENCES silo (name),
  at_ms        INTEGER NOT NULL
) STRICT;

CREATE TABLE approval (
  request_id TEXT    NOT NULL REFERENCES enrolment_request (id),
  operator   TEXT    NOT NULL,
  at_ms      INTEGER NOT NULL,
  PRIMARY KEY (request_id, operator)
) STRICT;

CREATE TABLE operator (
  name               TEXT    NOT NULL PRIMARY KEY,
  roles              TEXT    NOT NULL,
  state              TEXT    NOT NULL CHECK (state IN ('active', 'disabled')),
  certificate_serial TEXT,
  created_ms         INTEGER NOT NULL
) STRICT;

CREATE TABLE token (
  id          TEXT    NOT NULL PRIMARY KEY,
  operator    TEXT    NOT NULL REFERENCES operator (name),
  label       TEXT    NOT NULL,
  secret_hash BLOB    NOT NULL CHECK (length(secret_hash) = 32),
  scopes      TEXT    NOT NULL,
  created_ms  INTEGER NOT NULL,
  expires_ms  INTEGER NOT NULL,
  revoked_ms  INTEGER
) STRICT;

CREATE TABLE setting (
  name  TEXT NOT NULL PRIMARY KEY,
  value TEXT NOT NULL
) STRICT;
