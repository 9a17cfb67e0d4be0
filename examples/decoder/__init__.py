"""A small language model of letters: trained here in numpy, quantised with its key-value cache as states."""
