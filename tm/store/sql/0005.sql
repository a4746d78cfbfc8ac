-- Schema 5. Links, sessions and tokens of the web interface, as JSON; of their secrets only what they hash to.
CREATE TABLE sessions (id TEXT PRIMARY KEY, session TEXT NOT NULL) STRICT, WITHOUT ROWID;
