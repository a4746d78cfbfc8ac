"""What outlives the dispatcher. All SQL of the project is in this folder."""
