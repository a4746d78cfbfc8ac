Every host says what it is and does: its InfoServer (`bin/InfoServer`, `twistd infoserver`) tells CPU use by our jobs from that by other
people, knows who is at the console, and keeps an hour, a day and a month of history; ask it with `hSend HOST PORT load`.
