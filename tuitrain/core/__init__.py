"""Types that every other package uses; standard library only."""
