A host where jobs of different users fail at their start is taken out for a time and says so; a probe job brings it back.
