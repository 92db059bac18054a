"""From the task streams to runs: the sensor that takes messages in and plans."""
