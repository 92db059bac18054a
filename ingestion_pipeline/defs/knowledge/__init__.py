"""What is built of a collection as a whole: its assets, their checks, and who starts a build."""
