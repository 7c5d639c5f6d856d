"""How far single runs repeat: the noise floor of a table that has no seeds.

``floor.noise_floor`` takes a table with one run per entry (a method, a configuration) and occasion
(a campaign, a date, a release) and says by how much two single runs must differ before the
difference says anything, and how far whole occasions are shifted against each other.
"""
