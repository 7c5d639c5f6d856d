"""Protocol B: a search per arm, frozen winners, confirmation on fresh seeds and test items."""
