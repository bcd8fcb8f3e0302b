"""A Kubernetes operator that releases AI models in stages and takes the traffic back when they get worse."""

__version__ = "0.1.0"
