#!/usr/bin/env python3
"""Count primes, in pieces that can be calculated apart:

primes.py count LOW HIGH     print how many primes there are from LOW up to, but without, HIGH
primes.py merge FILE...      print the sum of what the counts have printed
"""

from __future__ import annotations

import math
import sys


def is_prime(number: int) -> bool:
    """Whether *number* is prime, by trial division."""
    if number < 4:
        return number > 1
    if number % 2 == 0 or number % 3 == 0:
        return False
    for divisor in range(5, math.isqrt(number) + 1, 6):
        if number % divisor == 0 or number % (divisor + 2) == 0:
            return False
    return True


def count(low: int, high: int) -> int:
    """Return how many primes there are in ``range(low, high)``."""
    return sum(map(is_prime, range(low, high)))


def merge(paths: list[str]) -> int:
    """Return the sum of the numbers that the files *paths* begin with."""
    total = 0
    for path in paths:
        with open(path, encoding="ascii") as file:
            total += int(file.readline())
    return total


if __name__ == "__main__":
    if sys.argv[1:2] == ["count"] and len(sys.argv) == 4:
        print(count(int(sys.argv[2]), int(sys.argv[3])))
    elif sys.argv[1:2] == ["merge"] and len(sys.argv) > 2:
        print(merge(sys.argv[2:]))
    else:
        sys.exit(__doc__)
