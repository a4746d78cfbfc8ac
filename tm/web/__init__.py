"""The web interface: twisted.web resources, pages and pure views. It is a client of the dispatcher like any other."""
