Pages for the TaskDispatcher (what it is, its files, `reload`), its properties (each with meaning, unit, default, origin, and when it takes effect) and for adding and
changing computers, whose checks run live; the difference is shown before it is saved, who comes second sees what the first has changed, and changes can be undone.
