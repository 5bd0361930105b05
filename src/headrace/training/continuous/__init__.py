"""Training as labels arrive: steps that each add trees to one Booster, and candidates of it for the gate."""
