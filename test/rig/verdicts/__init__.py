"""What every client of every Service meets, from the specification, and the packets to compare."""
