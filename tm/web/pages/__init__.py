"""The pages: each asks the dispatcher as its visitor and hands a view of the answers to a template."""
