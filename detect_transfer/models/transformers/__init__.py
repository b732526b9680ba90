"""The transformers family: D-FINE, RT-DETRv2 and RF-DETR of Hugging Face transformers."""
