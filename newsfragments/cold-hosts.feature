Many hosts on which nothing runs yet are reached 64 at a time instead of 8, as many as the waiting jobs need; where a user's server is there already and has room, no other is started.
