"""Handwritten digits: a small convolutional network, trained here in numpy, exported to ONNX and quantised."""
