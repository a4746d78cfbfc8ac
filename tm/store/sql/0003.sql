-- Schema 3. To whom a running attempt has been asked to give way; what was decided about a host beside its configuration.
ALTER TABLE jobs ADD COLUMN gives_way TEXT;

CREATE TABLE hosts (name TEXT PRIMARY KEY, memo TEXT NOT NULL) STRICT, WITHOUT ROWID;
