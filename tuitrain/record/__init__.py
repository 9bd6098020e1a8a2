"""What every trainer needs: its record, its commands, its lock and its signals."""
