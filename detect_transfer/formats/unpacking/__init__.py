"""Images that lie inside annotation files, brought out as files: tables of Hugging Face, TFRecord, LabelMe JSON."""
