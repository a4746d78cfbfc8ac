Pages of the web interface keep themselves up to date: what changes is shown within a second, what you have typed, checked or
opened stays, and a banner says since when a page may be old.
