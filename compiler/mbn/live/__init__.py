"""The local page on which one sees a device think: its server, its guard, its files."""
