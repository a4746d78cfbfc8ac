"""The web interface in a real Chromium, against real daemons."""
