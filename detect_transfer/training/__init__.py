"""Training: the plan of what trains when and at which rate, and the loop that obeys it."""
