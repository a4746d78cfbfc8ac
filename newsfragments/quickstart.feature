`python3 quickstart.py` sets up a cluster of this one machine and computes a real example on it.
