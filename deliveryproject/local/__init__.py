"""The whole system on one machine: embedded servers, the parts of `up`, and what supervises them."""
