-- Schema 2. The audit log: who changed what, from what to what (JSON, NULL where the thing was not there).
CREATE TABLE audit (
    id INTEGER PRIMARY KEY,
    at REAL NOT NULL,
    user TEXT NOT NULL,
    verb TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    before TEXT,
    after TEXT,
    reason TEXT NOT NULL,
    undoes INTEGER
) STRICT;
