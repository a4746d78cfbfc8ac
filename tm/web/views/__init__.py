"""Views: pure functions from what the dispatcher answers to what templates show."""
