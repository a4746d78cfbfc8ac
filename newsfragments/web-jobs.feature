Pages of the web interface list jobs, by any filter, in any order, also as CSV and JSON, and act on many of them at once: which ones they would be is shown first.
