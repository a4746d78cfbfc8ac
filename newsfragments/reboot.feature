A host that was restarted is noticed, and used again, within about ten seconds instead of two minutes.
