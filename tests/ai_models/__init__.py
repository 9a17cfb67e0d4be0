"""Small float models in ONNX, spelled as exporters spell them, for the tests of the importer."""
