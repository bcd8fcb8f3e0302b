"""The Router protocol and one module per data plane."""
